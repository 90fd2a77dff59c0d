/* The physical floor of this machine: what one small durable write and one large direct write cost in C, with nothing
 * in between. Prints one JSON line: {"records", "bytes", "seconds", "cpuSeconds"}.
 *
 *   floor append      <folder> <writes>   256 B appended, fdatasync each: data and file size go to the journal
 *   floor zeroed      <folder> <writes>   256 B into blocks zero-filled before, fdatasync each: data only
 *   floor dsync       <folder> <writes>   the same with O_DSYNC instead of fdatasync
 *   floor direct      <folder> <writes>   4 KiB into zero-filled blocks with O_DIRECT | O_DSYNC
 *   floor bandwidth   <folder> <writes>   8 MiB with O_DIRECT | O_DSYNC into a preallocated file
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SMALL = 256, BLOCK = 4096, LARGE = 8 << 20 };

struct mode {
  const char *name;
  size_t bytes;
  int flags;
  int prefill; /* write zeros over the whole range first, so that no block is allocated under the clock */
  int sync;    /* fdatasync after each write */
};

static const struct mode modes[] = {
    {"append", SMALL, O_APPEND, 0, 1},
    {"zeroed", SMALL, 0, 1, 1},
    {"dsync", SMALL, O_DSYNC, 1, 0},
    {"direct", BLOCK, O_DIRECT | O_DSYNC, 1, 0},
    {"bandwidth", LARGE, O_DIRECT | O_DSYNC, 0, 0},
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) != 0) fail("clock_gettime");
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void write_zeros(const char *path, size_t bytes) {
  static char zeros[1 << 20];
  int fd = open(path, O_WRONLY | O_CREAT, 0640);
  if (fd < 0) fail(path);
  for (size_t done = 0; done < bytes; done += sizeof zeros)
    if (write(fd, zeros, sizeof zeros) != (ssize_t)sizeof zeros) fail("write");
  if (fsync(fd) != 0 || close(fd) != 0) fail("fsync");
}

static void run(const struct mode *mode, const char *path, long writes) {
  void *data;
  if (posix_memalign(&data, BLOCK, mode->bytes) != 0) fail("posix_memalign");
  memset(data, 'x', mode->bytes);
  if (mode->prefill) write_zeros(path, mode->bytes * (size_t)writes);
  int fd = open(path, O_WRONLY | O_CREAT | mode->flags, 0640);
  if (fd < 0) fail(path);
  if (mode->bytes == LARGE && fallocate(fd, 0, 0, (off_t)mode->bytes * writes) != 0) fail("fallocate");
  double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  for (long i = 0; i < writes; i++) {
    if (pwrite(fd, data, mode->bytes, (off_t)mode->bytes * i) != (ssize_t)mode->bytes) fail("pwrite");
    if (mode->sync && fdatasync(fd) != 0) fail("fdatasync");
  }
  printf("{\"records\":%ld,\"bytes\":%ld,\"seconds\":%f,\"cpuSeconds\":%f}\n", writes, (long)mode->bytes * writes,
         now(CLOCK_MONOTONIC) - start, now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  if (close(fd) != 0) fail("close");
  free(data);
}

int main(int count, char **arguments) {
  char path[4096];
  long writes = count == 4 ? atol(arguments[3]) : 0;
  for (size_t i = 0; writes > 0 && i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(modes[i].name, arguments[1]) != 0) continue;
    snprintf(path, sizeof path, "%s/floor.%s", arguments[2], arguments[1]);
    run(&modes[i], path, writes);
    return unlink(path) == 0 ? 0 : 1;
  }
  fputs("usage: floor append|zeroed|dsync|direct|bandwidth <folder> <writes>\n", stderr);
  return 1;
}
