// macOS: renamex_np(2) (10.12), F_PREALLOCATE, and F_FULLFSYNC, without which fsync(2) leaves the bytes in the cache of
// the drive. Locks are in posix.c: open file description locks are there as on Linux.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform.h"

// Two numbers here and one on Linux, whose name everybody knows.
static int not_supported(int error) { return error == ENOTSUP || error == EINVAL ? EOPNOTSUPP : error; }

int platform_rename_no_replace(const char *from, const char *to) {
  if (renamex_np(from, to, RENAME_EXCL) == 0) return 0;
  return errno == ENOTSUP || errno == EINVAL ? -ENOSYS : -errno;
}

// Reserves from the end of what the file has, which is the only place where the kernel does.
int platform_preallocate(int fd, int64_t offset, int64_t length) {
  struct stat found;
  if (offset < 0 || length <= 0) return -EINVAL;
  if (fstat(fd, &found) == -1) return -errno;
  int64_t missing = offset + length - (int64_t)found.st_blocks * 512;
  if (missing <= 0) return 0;
  fstore_t wanted = {.fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_offset = 0, .fst_length = missing};
  return fcntl(fd, F_PREALLOCATE, &wanted) == -1 ? -not_supported(errno) : 0;
}

int platform_fallocate(int fd, int64_t offset, int64_t length) {
  struct stat found;
  int result = platform_preallocate(fd, offset, length);
  if (result < 0) return result;
  if (fstat(fd, &found) == -1) return -errno;
  if (found.st_size >= offset + length) return 0;
  return ftruncate(fd, offset + length) == -1 ? -errno : 0;
}

// The kernel does not tell, and knows no O_DIRECT.
int platform_direct_alignment(int fd) {
  (void)fd;
  return -EOPNOTSUPP;
}

// Piece by piece: pwritev(2) came with macOS 11.
int64_t platform_write_pieces(int fd, const struct iovec *pieces, int count, int64_t offset) {
  int64_t total = 0;
  for (int i = 0; i < count; i++) {
    ssize_t written;
    do {
      written = pwrite(fd, pieces[i].iov_base, pieces[i].iov_len, offset + total);
    } while (written == -1 && errno == EINTR);
    if (written == -1) return total > 0 ? total : -errno;
    total += written;
    if ((size_t)written < pieces[i].iov_len) break;
  }
  return total;
}

int platform_sync(int fd, int data_only) {
  (void)data_only;
  int result;
  do {
    result = fcntl(fd, F_FULLFSYNC);
  } while (result == -1 && errno == EINTR);
  // File systems of other kinds, such as those of a network, have fsync(2) alone.
  if (result == -1 && (errno == ENOTSUP || errno == ENOTTY || errno == EINVAL)) result = fsync(fd);
  return result == -1 ? -errno : 0;
}

int64_t platform_write_synced(int fd, const void *bytes, size_t length, int64_t offset) {
  ssize_t written;
  do {
    written = pwrite(fd, bytes, length, offset);
  } while (written == -1 && errno == EINTR);
  if (written == -1) return -errno;
  int result = platform_sync(fd, 1);
  return result < 0 ? result : written;
}

int platform_huge_pages(void *start, size_t length) {
  (void)start;
  (void)length;
  return -EOPNOTSUPP;
}
