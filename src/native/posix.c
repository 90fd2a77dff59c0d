// What Linux and macOS have in common: waiting for locks, state of files, new files.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

// The kernel's own, with the numbers of those who have them; headers hide them from some settings.
#ifndef F_OFD_SETLK
#ifdef __APPLE__
#define F_OFD_SETLK 90
#else
#define F_OFD_SETLK 37
#endif
#endif

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

// The descriptor is free whatever close(2) says.
void platform_close(int fd) { (void)close(fd); }

int platform_stat(int fd, const char *path, int follow, int64_t fields[PLATFORM_STAT_FIELDS]) {
  struct stat found;
  int result = path == NULL ? fstat(fd, &found) : follow ? stat(path, &found) : lstat(path, &found);
  if (result == -1) return -errno;
#ifdef __APPLE__
  struct timespec changed = found.st_mtimespec;
#else
  struct timespec changed = found.st_mtim;
#endif
  fields[0] = (int64_t)found.st_dev;
  fields[1] = (int64_t)found.st_ino;
  fields[2] = found.st_size;
  fields[3] = (int64_t)changed.tv_sec * 1000000000 + changed.tv_nsec;
  fields[4] = (int64_t)found.st_nlink;
  fields[5] = found.st_mode;
  fields[6] = found.st_uid;
  return 0;
}

int platform_set_mode(int fd, uint32_t mode) { return fchmod(fd, (mode_t)mode) == -1 ? -errno : 0; }

static int write_all(int fd, const char *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t count = write(fd, bytes + at, length - at);
    if (count > 0) at += (size_t)count;
    else if (count == 0) return -EIO;
    else if (errno != EINTR) return -errno;
  }
  return 0;
}

int platform_write_new(const char *path, uint32_t mode, const void *bytes, size_t length) {
  int fd;
  do {
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  } while (fd == -1 && errno == EINTR);
  if (fd == -1) return -errno;
  int result = write_all(fd, bytes, length);
  if (result == 0 && fchmod(fd, (mode_t)mode) == -1) result = -errno;
  // Over a network a full disk may show only here. The descriptor is free even if a signal came in between.
  if (close(fd) == -1 && errno != EINTR && result == 0) result = -errno;
  if (result < 0) unlink(path);
  return result;
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
