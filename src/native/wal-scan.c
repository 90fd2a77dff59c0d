// The hot path of reading a write-ahead log (layout: src/formats/wal.ts): walks over whole records in the byte
// order in which they are written, checks the rolling checksum and notes where each record is. It stops at
// anything else (a crc record, an odd encoding, damage, the end), which JavaScript then judges.
#include "wal-scan.h"

#include <string.h>

#include "checksum.h"

#define HEADER 8
// Types of records.
#define ENTRY 2
#define STATE 3

// A varint of at most 32 bits; returns the offset behind it, or 0.
static size_t read_varint(const uint8_t *bytes, size_t at, size_t end, uint32_t *value) {
  uint64_t result = 0;
  for (int shift = 0; shift < 35 && at < end; shift += 7) {
    uint8_t byte = bytes[at++];
    result |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) {
      *value = (uint32_t)result;
      return result > UINT32_MAX ? 0 : at;
    }
  }
  return 0;
}

// The frame at `at` where it is whole and sound after checksum `crc`.
typedef struct {
  uint32_t type;
  size_t data;
  size_t to;
  size_t next;
  uint32_t crc;
} sound_frame;

static inline bool read_frame(const uint8_t *bytes, size_t at, size_t end, uint32_t crc, sound_frame *frame) {
  if (end - at < HEADER) return false;
  const uint8_t *header = bytes + at;
  size_t length = (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 | (size_t)header[3] << 24;
  size_t padding = -length & 7;
  if (length < 4 || header[4] != 0 || header[5] != 0 || header[6] != 0 ||
      header[7] != (padding == 0 ? 0 : 0x80 | padding) || length + padding > end - at - HEADER) {
    return false;
  }
  size_t from = at + HEADER;
  size_t to = from + length;
  uint8_t type = bytes[from + 1];
  if (bytes[from] != 0x08 || type < 1 || type > 5 || type == 4 || bytes[from + 2] != 0x10) return false;
  uint32_t stored, data_length;
  size_t data = read_varint(bytes, from + 3, to, &stored);
  if (data == 0) return false;
  if (data < to) {
    if (bytes[data] != 0x1a) return false;
    data = read_varint(bytes, data + 1, to, &data_length);
    if (data == 0 || data_length != to - data) return false;
  }
  uint32_t after = checksum_crc32c(crc, bytes + data, to - data);
  *frame = (sound_frame){type, data, to, to + padding, after};
  return after == stored;
}

size_t wal_scan(const uint8_t *bytes, size_t start, size_t end, uint32_t crc, uint32_t *rows, size_t max_rows) {
  size_t count = 0;
  sound_frame frame;
  for (size_t at = start; count < max_rows && read_frame(bytes, at, end, crc, &frame); count++) {
    crc = frame.crc;
    uint32_t *row = rows + count * WAL_ROW;
    row[0] = frame.type;
    row[1] = (uint32_t)at;
    row[2] = (uint32_t)frame.data;
    row[3] = (uint32_t)frame.to;
    row[4] = (uint32_t)frame.next;
    row[5] = crc;
    at = frame.next;
  }
  return count;
}

// A varint below 2^49, as decodePlain of wal-record.ts takes it; returns the offset behind it, or 0.
static size_t read_index(const uint8_t *bytes, size_t at, size_t end, uint64_t *value) {
  uint64_t result = 0;
  for (int shift = 0; shift < 49 && at < end; shift += 7) {
    uint8_t byte = bytes[at++];
    result |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) {
      *value = result;
      return at;
    }
  }
  return 0;
}

// An entry of type 0 and term 1 with index `wanted`; returns where its content begins, or 0.
static size_t entry_content(const uint8_t *bytes, const sound_frame *frame, uint64_t wanted) {
  uint64_t index, length;
  size_t at = frame->data, to = frame->to;
  if (to - at < 6 || bytes[at] != 0x08 || bytes[at + 1] != 0 || bytes[at + 2] != 0x10 || bytes[at + 3] != 1 ||
      bytes[at + 4] != 0x18) {
    return 0;
  }
  at = read_index(bytes, at + 5, to, &index);
  if (at == 0 || index != wanted) return 0;
  if (at == to) return at;
  if (bytes[at] != 0x22) return 0;
  at = read_index(bytes, at + 1, to, &length);
  return at != 0 && length == to - at ? at : 0;
}

// The state of a group of the one member 1 in term 1; whether it is one.
static bool is_commit(const uint8_t *bytes, const sound_frame *frame, uint64_t *commit) {
  size_t at = frame->data, to = frame->to;
  if (to - at < 6 || bytes[at] != 0x08 || bytes[at + 1] != 1 || bytes[at + 2] != 0x10 || bytes[at + 3] != 1 ||
      bytes[at + 4] != 0x18) {
    return false;
  }
  return read_index(bytes, at + 5, to, commit) == to;
}

void wal_follow(const uint8_t *bytes, size_t start, size_t end, wal_run *run, int32_t *bounds, int32_t *frames,
                size_t room) {
  uint64_t index = run->index, commit = run->commit;
  size_t at = start, count = 0;
  sound_frame frame;
  while (read_frame(bytes, at, end, run->crc, &frame)) {
    if (frame.type == ENTRY) {
      if (index >= run->limit || count == room) break;
      size_t content = entry_content(bytes, &frame, index + 1);
      if (content == 0) break;
      if (bounds != NULL) {
        bounds[2 * count] = (int32_t)content;
        bounds[2 * count + 1] = (int32_t)frame.to;
        frames[count] = (int32_t)at;
      }
      count++;
      index++;
    } else if (frame.type == STATE) {
      uint64_t marked;
      if (!is_commit(bytes, &frame, &marked)) break;
      commit = marked;
      run->states++;
    } else break;
    run->crc = frame.crc;
    at = frame.next;
    if (index > commit) continue;
    run->committed_end = at;
    run->committed_crc = frame.crc;
    run->committed_index = index;
  }
  run->index = index;
  run->commit = commit;
  run->end = at;
  run->entries = count;
}

static size_t write_varint(uint8_t *bytes, size_t at, uint32_t value) {
  for (; value > 127; value >>= 7) bytes[at++] = (uint8_t)value | 0x80;
  bytes[at++] = (uint8_t)value;
  return at;
}

size_t wal_seal(uint8_t *bytes, size_t start, size_t end, uint32_t *crc) {
  size_t out = start;
  for (size_t at = start; end - at >= HEADER + WAL_BLANK;) {
    size_t length = (size_t)bytes[at] | (size_t)bytes[at + 1] << 8 | (size_t)bytes[at + 2] << 16 |
                    (size_t)bytes[at + 3] << 24;
    size_t next = at + HEADER + length + (-length & 7);
    if (length < WAL_BLANK || next > end) return 0;
    size_t rest = at + HEADER + WAL_BLANK;
    size_t rest_length = length - WAL_BLANK;
    if (rest_length > 0) {
      uint32_t data_length;
      size_t data = read_varint(bytes, rest + 1, rest + rest_length, &data_length);
      if (data == 0 || data_length != rest + rest_length - data) return 0;
      *crc = checksum_crc32c(*crc, bytes + data, data_length);
    }
    uint8_t type = bytes[at + HEADER + 1];
    uint8_t prefix[WAL_BLANK] = {0x08, type, 0x10};
    size_t prefix_length = write_varint(prefix, 3, *crc);
    // The frame gets shorter or keeps its place, so nothing is overwritten that is still to be read.
    memmove(bytes + out + HEADER + prefix_length, bytes + rest, rest_length);
    memcpy(bytes + out + HEADER, prefix, prefix_length);
    length = prefix_length + rest_length;
    size_t padding = -length & 7;
    for (int i = 0; i < 4; i++) bytes[out + i] = (uint8_t)(length >> (8 * i));
    memset(bytes + out + 4, 0, 3);
    bytes[out + 7] = padding == 0 ? 0 : (uint8_t)(0x80 | padding);
    memset(bytes + out + HEADER + length, 0, padding);
    out += HEADER + length + padding;
    at = next;
  }
  return out;
}
