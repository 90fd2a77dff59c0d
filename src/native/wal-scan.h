// Scans the frames of a write-ahead log; see wal-scan.c.
#ifndef LOGBOOM_WAL_SCAN_H
#define LOGBOOM_WAL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Columns of a row: type, start of the frame, start and end of the data, start of the next frame, checksum.
#define WAL_ROW 6

size_t wal_scan(const uint8_t *bytes, size_t start, size_t end, uint32_t crc, uint32_t *rows, size_t max_rows);

// Where a run of records stands, and what was in it.
typedef struct {
  uint32_t crc;
  // Index of the last entry, up to which batches are whole, and the last one that may be gone over.
  uint64_t index;
  uint64_t commit;
  uint64_t limit;
  // Behind the last record; how many entries and states there were.
  size_t end;
  size_t entries;
  size_t states;
  // Behind the last record at which every entry was committed, the checksum and the index there; `committed_end` stays
  // as it is if there was none.
  size_t committed_end;
  uint32_t committed_crc;
  uint64_t committed_index;
} wal_run;

// Goes over the sound records in bytes[start, end) as long as they are what one writer that never changed its term has
// written: entries with one index after the other, and commit marks. Where `bounds` is given, start and end of the content
// of each entry go there and the start of its frame to `frames`. Goes over at most `room` entries.
void wal_follow(const uint8_t *bytes, size_t start, size_t end, wal_run *run, int32_t *bounds, int32_t *frames,
                size_t room);

// Type, crc tag and a blank of five bytes for the checksum: how a record begins before it is sealed.
#define WAL_BLANK 8

// Puts the rolling checksum into each of the frames in bytes[start, end), which follow `*crc` and leave a blank of
// five bytes for it, and closes the gaps of shorter ones. Returns the new end, or 0 if they are not such frames.
size_t wal_seal(uint8_t *bytes, size_t start, size_t end, uint32_t *crc);

#endif
