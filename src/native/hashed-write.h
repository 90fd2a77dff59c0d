// Writing and checksumming the same bytes at the same time.
#ifndef LOGBOOM_HASHED_WRITE_H
#define LOGBOOM_HASHED_WRITE_H

#include <stdint.h>
#include <sys/uio.h>

// One pwritev(2) in a thread of its own, while this one continues *crc over all the pieces and, unless `entries` is
// NULL, takes each for a frame of the direct-file format and stores how many entries it has. Returns the bytes
// written, which may be fewer, or -errno; checksum and numbers are those of all pieces either way.
int64_t hashed_write(int fd, const struct iovec *pieces, int count, int64_t offset, uint32_t *crc, uint32_t *entries);

#endif
