#include "hashed-write.h"

#include <pthread.h>
#include <stdbool.h>

#include "checksum.h"
#include "framing.h"
#include "platform.h"
#include "thread.h"

typedef struct {
  int fd;
  const struct iovec *pieces;
  int count;
  int64_t offset;
  int64_t written;
} transfer;

static void *run_transfer(void *data) {
  transfer *work = data;
  work->written = platform_write_pieces(work->fd, work->pieces, work->count, work->offset);
  return NULL;
}

// Goes through the piece once, so that memory is read once: a stretch is still in the cache when its entries are
// counted.
static uint32_t hash_frame(const uint8_t *frame, size_t length, uint32_t *crc) {
  enum { STRETCH = 48 << 10 };
  framing_walk walk = framing_start(frame, length);
  for (size_t at = 0; at < length;) {
    size_t step = length - at < STRETCH ? length - at : STRETCH;
    *crc = checksum_crc32c(*crc, frame + at, step);
    at += step;
    framing_walk_to(&walk, at);
  }
  return walk.count;
}

int64_t hashed_write(int fd, const struct iovec *pieces, int count, int64_t offset, uint32_t *crc,
                     uint32_t *entries) {
  transfer work = {fd, pieces, count, offset, 0};
  pthread_t thread;
  bool apart = thread_start(&thread, run_transfer, &work) == 0;
  for (int i = 0; i < count; i++) {
    const struct iovec *piece = pieces + i;
    if (entries == NULL) *crc = checksum_crc32c(*crc, piece->iov_base, piece->iov_len);
    else entries[i] = hash_frame(piece->iov_base, piece->iov_len, crc);
  }
  // A thread that was started can be joined; without one the write is made here.
  if (apart) (void)pthread_join(thread, NULL);
  else run_transfer(&work);
  return work.written;
}
