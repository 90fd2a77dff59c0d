// Scans the frames of a write-ahead log; see wal-scan.c.
#ifndef LOGBOOM_WAL_SCAN_H
#define LOGBOOM_WAL_SCAN_H

#include <stddef.h>
#include <stdint.h>

// Columns of a row: type, start of the frame, start and end of the data, start of the next frame, checksum.
#define WAL_ROW 6

size_t wal_scan(const uint8_t *bytes, size_t start, size_t end, uint32_t crc, uint32_t *rows, size_t max_rows);

// Type, crc tag and a blank of five bytes for the checksum: how a record begins before it is sealed.
#define WAL_BLANK 8

// Puts the rolling checksum into each of the frames in bytes[start, end), which follow `*crc` and leave a blank of
// five bytes for it, and closes the gaps of shorter ones. Returns the new end, or 0 if they are not such frames.
size_t wal_seal(uint8_t *bytes, size_t start, size_t end, uint32_t *crc);

#endif
