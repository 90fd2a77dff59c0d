// Linux: open file description locks (fcntl(2), Linux 3.15) and renameat2(2) (Linux 3.15).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

#ifndef RWF_DSYNC
#define RWF_DSYNC 0x2
#endif
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000
#endif
// Size of the kernel's struct statx and where it has stx_dio_mem_align and stx_dio_offset_align, whatever the
// libc knows of it.
#define STATX_BYTES 256
#define STATX_DIO_MEM_ALIGN_AT 0x98
#define STATX_DIO_OFFSET_ALIGN_AT 0x9c

static int set_lock(int fd, short type, int64_t slot) {
  struct flock region = {.l_type = type, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};
  if (slot == PLATFORM_WHOLE_FILE) region.l_start = region.l_len = 0;
  int result;
  do {
    result = fcntl(fd, F_OFD_SETLK, &region);
  } while (result == -1 && errno == EINTR);
  return result == -1 ? -errno : 0;
}

static int64_t now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

// Polls, because the kernel's waiting lock (F_OFD_SETLKW) has no time limit and a stopped holder would block
// this thread for ever.
int platform_lock(int fd, int64_t slot, int64_t wait_us) {
  int result = set_lock(fd, F_WRLCK, slot);
  if (wait_us <= 0) return result == 0 ? 1 : result == -EAGAIN || result == -EACCES ? 0 : result;
  int64_t deadline = now_us() + wait_us;
  long pause_us = 10;
  for (;;) {
    if (result == 0) return 1;
    if (result != -EAGAIN && result != -EACCES) return result;
    if (now_us() >= deadline) return 0;
    struct timespec pause = {.tv_sec = 0, .tv_nsec = pause_us * 1000};
    nanosleep(&pause, NULL);
    if (pause_us < 500) pause_us *= 2;
    result = set_lock(fd, F_WRLCK, slot);
  }
}

int platform_unlock(int fd, int64_t slot) { return set_lock(fd, F_UNLCK, slot); }

int platform_rename_no_replace(const char *from, const char *to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -errno;
  // The file system or kernel has no such flag: link(2) does not replace either.
  if (link(from, to) == -1) return -errno;
  if (unlink(from) == 0) return 0;
  int error = errno;
  unlink(to);
  return -error;
}

static int reserve_blocks(int fd, int mode, int64_t offset, int64_t length) {
  int result;
  do {
    result = fallocate(fd, mode, offset, length);
  } while (result == -1 && errno == EINTR);
  return result == -1 ? -errno : 0;
}

int platform_fallocate(int fd, int64_t offset, int64_t length) {
  return reserve_blocks(fd, 0, offset, length);
}

int platform_direct_alignment(int fd) {
  uint32_t status[STATX_BYTES / sizeof(uint32_t)] = {0};
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, status) == -1) {
    return errno == ENOSYS ? 0 : -errno;
  }
  if ((status[0] & STATX_DIOALIGN) == 0) return 0;
  uint32_t memory = status[STATX_DIO_MEM_ALIGN_AT / sizeof(uint32_t)];
  uint32_t offset = status[STATX_DIO_OFFSET_ALIGN_AT / sizeof(uint32_t)];
  if (memory == 0 || offset == 0) return -EOPNOTSUPP;
  return (int)(memory > offset ? memory : offset);
}

int platform_preallocate(int fd, int64_t offset, int64_t length) {
  return reserve_blocks(fd, FALLOC_FL_KEEP_SIZE, offset, length);
}

int platform_stat(int fd, const char *path, int follow, int64_t fields[PLATFORM_STAT_FIELDS]) {
  struct stat found;
  int result = path == NULL ? fstat(fd, &found) : follow ? stat(path, &found) : lstat(path, &found);
  if (result == -1) return -errno;
  fields[0] = (int64_t)found.st_dev;
  fields[1] = (int64_t)found.st_ino;
  fields[2] = found.st_size;
  fields[3] = (int64_t)found.st_mtim.tv_sec * 1000000000 + found.st_mtim.tv_nsec;
  fields[4] = (int64_t)found.st_nlink;
  fields[5] = found.st_mode;
  fields[6] = found.st_uid;
  return 0;
}

static int64_t write_then_sync(int fd, const void *bytes, size_t length, int64_t offset) {
  ssize_t written;
  int synced;
  do {
    written = pwrite(fd, bytes, length, offset);
  } while (written == -1 && errno == EINTR);
  if (written == -1) return -errno;
  do {
    synced = fdatasync(fd);
  } while (synced == -1 && errno == EINTR);
  return synced == -1 ? -errno : written;
}

int64_t platform_write_synced(int fd, const void *bytes, size_t length, int64_t offset) {
  struct iovec piece = {.iov_base = (void *)bytes, .iov_len = length};
  // Not every libc has pwritev2(2). The offset goes in two registers where one is too small for it.
  long high = sizeof(long) < sizeof offset ? (long)(offset >> 32) : 0;
  ssize_t written;
  do {
    written = syscall(SYS_pwritev2, fd, &piece, 1L, (long)offset, high, RWF_DSYNC);
  } while (written == -1 && errno == EINTR);
  if (written != -1) return written;
  return errno == EOPNOTSUPP || errno == ENOSYS ? write_then_sync(fd, bytes, length, offset) : -errno;
}

int platform_huge_pages(void *start, size_t length) {
  return madvise(start, length, MADV_HUGEPAGE) == -1 ? -errno : 0;
}

int platform_map(int fd, size_t length, void **memory) {
  struct stat found;
  if (fstat(fd, &found) == -1) return -errno;
  if (found.st_size < 0 || (uint64_t)found.st_size < length) return -EINVAL;
  void *mapped = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return -errno;
  *memory = mapped;
  return 0;
}

int platform_unmap(void *memory, size_t length) { return munmap(memory, length) == -1 ? -errno : 0; }
