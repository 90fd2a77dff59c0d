// Loaded into a process before the C library (LD_PRELOAD): counts the calls that touch a folder, and lets the n-th one of
// a kind fail, whoever makes it: Node, its threads or the addon. Environment: FAULTS_FOLDER, and FAULTS_STATE, a file that
// is shared with the test, of 32-bit words: which call fails, from which number on, up to which, errno (0: a write takes
// half of its bytes), and then for each call how often it was made.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// In this order in syscall-faults.ts, too.
enum call { OPEN, WRITE, SYNC, RENAME, TRUNCATE, ALLOCATE, UNLINK, LINK, MAKE_FOLDER, CALLS };
enum { WHICH, FROM, TO, ERRNO, HITS, COUNTS, WORDS = COUNTS + CALLS };

static _Atomic int32_t *state;
static const char *folder;
static size_t folder_length;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTS_STATE");
  folder = getenv("FAULTS_FOLDER");
  if (path == NULL || folder == NULL) return;
  folder_length = strlen(folder);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (fd == -1) return;
  void *memory = mmap(NULL, WORDS * sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory != MAP_FAILED) state = memory;
}

static bool is_inside(const char *path) {
  return path != NULL && strncmp(path, folder, folder_length) == 0;
}

static bool is_open_inside(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return false;
  path[length] = 0;
  return is_inside(path);
}

// Whether this call is to fail; errno is set then, 0 for a write that is to be short.
static bool fails(enum call call) {
  int32_t nth = atomic_fetch_add(&state[COUNTS + call], 1) + 1;
  if (atomic_load(&state[WHICH]) != (int32_t)call) return false;
  if (nth < atomic_load(&state[FROM]) || nth >= atomic_load(&state[TO])) return false;
  atomic_fetch_add(&state[HITS], 1);
  errno = atomic_load(&state[ERRNO]);
  return true;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define ON_PATH(call, path) (state != NULL && is_inside(path) && fails(call))
#define ON_FILE(call, fd) (state != NULL && is_open_inside(fd) && fails(call))

#define OPENING(name) \
  int name(const char *path, int flags, ...) { \
    REAL(name); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
      va_list rest; \
      va_start(rest, flags); \
      mode = va_arg(rest, mode_t); \
      va_end(rest); \
    } \
    return ON_PATH(OPEN, path) ? -1 : real(path, flags, mode); \
  }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name) \
  int name(int at, const char *path, int flags, ...) { \
    REAL(name); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
      va_list rest; \
      va_start(rest, flags); \
      mode = va_arg(rest, mode_t); \
      va_end(rest); \
    } \
    return ON_PATH(OPEN, path) ? -1 : real(at, path, flags, mode); \
  }
OPENING_AT(openat)
OPENING_AT(openat64)

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(write);
  if (!ON_FILE(WRITE, fd)) return real(fd, bytes, length);
  return errno == 0 ? real(fd, bytes, (length + 1) / 2) : -1;
}

#define WRITING_AT(name, offset_type) \
  ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) { \
    REAL(name); \
    if (!ON_FILE(WRITE, fd)) return real(fd, bytes, length, offset); \
    return errno == 0 ? real(fd, bytes, (length + 1) / 2, offset) : -1; \
  }
WRITING_AT(pwrite, off_t)
WRITING_AT(pwrite64, off64_t)

static ssize_t half(int fd, const struct iovec *parts, off64_t offset) {
  // The first part alone, or half of it, is a short write, too.
  size_t length = (parts[0].iov_len + 1) / 2;
  static ssize_t (*at)(int, const void *, size_t, off64_t);
  static ssize_t (*on)(int, const void *, size_t);
  if (at == NULL) at = (__typeof__(at))dlsym(RTLD_NEXT, "pwrite64");
  if (on == NULL) on = (__typeof__(on))dlsym(RTLD_NEXT, "write");
  return offset < 0 ? on(fd, parts[0].iov_base, length) : at(fd, parts[0].iov_base, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  if (!ON_FILE(WRITE, fd)) return real(fd, parts, count);
  return errno == 0 && count > 0 ? half(fd, parts, -1) : -1;
}

#define WRITING_PARTS_AT(name, offset_type) \
  ssize_t name(int fd, const struct iovec *parts, int count, offset_type offset) { \
    REAL(name); \
    if (!ON_FILE(WRITE, fd)) return real(fd, parts, count, offset); \
    return errno == 0 && count > 0 ? half(fd, parts, offset) : -1; \
  }
WRITING_PARTS_AT(pwritev, off_t)
WRITING_PARTS_AT(pwritev64, off64_t)

#define WRITING_PARTS_SYNCED(name, offset_type) \
  ssize_t name(int fd, const struct iovec *parts, int count, offset_type offset, int flags) { \
    REAL(name); \
    if (!ON_FILE(WRITE, fd)) return real(fd, parts, count, offset, flags); \
    return errno == 0 && count > 0 ? half(fd, parts, offset) : -1; \
  }
WRITING_PARTS_SYNCED(pwritev2, off_t)
WRITING_PARTS_SYNCED(pwritev64v2, off64_t)

#define ON_DESCRIPTOR(call, name) \
  int name(int fd) { \
    REAL(name); \
    return ON_FILE(call, fd) ? -1 : real(fd); \
  }
ON_DESCRIPTOR(SYNC, fsync)
ON_DESCRIPTOR(SYNC, fdatasync)

int rename(const char *from, const char *to) {
  REAL(rename);
  return ON_PATH(RENAME, from) ? -1 : real(from, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned int flags) {
  REAL(renameat2);
  return ON_PATH(RENAME, from) ? -1 : real(from_at, from, to_at, to, flags);
}

// What the addon calls by number, because not every C library has a function for it.
long syscall(long number, ...) {
  static long (*real)(long, ...);
  if (real == NULL) real = (__typeof__(real))dlsym(RTLD_NEXT, "syscall");
  va_list rest;
  va_start(rest, number);
  long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
  long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_renameat2 && ON_PATH(RENAME, (const char *)b)) return -1;
  if (number == SYS_pwritev2 && ON_FILE(WRITE, (int)a)) {
    return errno == 0 && c > 0 ? half((int)a, (const struct iovec *)b, (off64_t)d) : -1;
  }
  return real(number, a, b, c, d, e, f);
}

#define TRUNCATING(name, length_type) \
  int name(int fd, length_type length) { \
    REAL(name); \
    return ON_FILE(TRUNCATE, fd) ? -1 : real(fd, length); \
  }
TRUNCATING(ftruncate, off_t)
TRUNCATING(ftruncate64, off64_t)

#define ALLOCATING(name, offset_type) \
  int name(int fd, int mode, offset_type offset, offset_type length) { \
    REAL(name); \
    return ON_FILE(ALLOCATE, fd) ? -1 : real(fd, mode, offset, length); \
  }
ALLOCATING(fallocate, off_t)
ALLOCATING(fallocate64, off64_t)

int unlink(const char *path) {
  REAL(unlink);
  return ON_PATH(UNLINK, path) ? -1 : real(path);
}

int link(const char *from, const char *to) {
  REAL(link);
  return ON_PATH(LINK, to) ? -1 : real(from, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  REAL(linkat);
  return ON_PATH(LINK, to) ? -1 : real(from_at, from, to_at, to, flags);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  return ON_PATH(MAKE_FOLDER, path) ? -1 : real(path, mode);
}
