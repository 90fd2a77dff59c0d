// Cuts the power of a file system (FS_IOC_SHUTDOWN, no flush of the journal): shutdown <mount point>.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
  uint32_t no_log_flush = 2;
  int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
  if (fd == -1 || ioctl(fd, _IOR('X', 125, uint32_t), &no_log_flush) == -1) {
    perror("shutdown");
    return 1;
  }
  return 0;
}
