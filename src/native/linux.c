// Linux: renameat2(2) (Linux 3.15), statx(2), fallocate(2), pwritev2(2) (Linux 4.7). Locks are in posix.c.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif
// What headers of older systems do not name; glibc 2.17 has no number for the newer calls either.
#ifndef SYS_renameat2
#if defined(__x86_64__)
#define SYS_renameat2 316
#elif defined(__aarch64__)
#define SYS_renameat2 276
#endif
#endif
#ifndef SYS_statx
#if defined(__x86_64__)
#define SYS_statx 332
#elif defined(__aarch64__)
#define SYS_statx 291
#endif
#endif
#ifndef SYS_pwritev2
#if defined(__x86_64__)
#define SYS_pwritev2 328
#elif defined(__aarch64__)
#define SYS_pwritev2 287
#endif
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
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

int platform_rename_no_replace(const char *from, const char *to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  // EINVAL: the file system does not know the flag.
  return errno == EINVAL ? -ENOSYS : -errno;
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

int platform_preallocate(int fd, int64_t offset, int64_t length) {
  return reserve_blocks(fd, FALLOC_FL_KEEP_SIZE, offset, length);
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

int64_t platform_write_pieces(int fd, const struct iovec *pieces, int count, int64_t offset) {
  ssize_t written;
  do {
    written = pwritev(fd, pieces, count, offset);
  } while (written == -1 && errno == EINTR);
  return written == -1 ? -errno : written;
}

int platform_sync(int fd, int data_only) {
  int result;
  do {
    result = data_only ? fdatasync(fd) : fsync(fd);
  } while (result == -1 && errno == EINTR);
  return result == -1 ? -errno : 0;
}

static int64_t write_then_sync(int fd, const void *bytes, size_t length, int64_t offset) {
  ssize_t written;
  do {
    written = pwrite(fd, bytes, length, offset);
  } while (written == -1 && errno == EINTR);
  if (written == -1) return -errno;
  int result = platform_sync(fd, 1);
  return result < 0 ? result : written;
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
  long page = sysconf(_SC_PAGESIZE);
  if (page <= 0) return -EINVAL;
  uintptr_t size = (uintptr_t)page, from = (uintptr_t)start;
  uintptr_t first = (from + size - 1) / size * size, end = (from + length) / size * size;
  if (first >= end) return -EINVAL;
  return madvise((void *)first, end - first, MADV_HUGEPAGE) == -1 ? -errno : 0;
}
