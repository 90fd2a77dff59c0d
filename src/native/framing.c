// Lines to length-prefixed entries in one pass, and walks over entries.
#include "framing.h"

#include <string.h>

static uint32_t get_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_u32(uint8_t *bytes, uint32_t value) {
  bytes[0] = (uint8_t)value;
  bytes[1] = (uint8_t)(value >> 8);
  bytes[2] = (uint8_t)(value >> 16);
  bytes[3] = (uint8_t)(value >> 24);
}

size_t framing_lines(const uint8_t *source, size_t length, uint8_t *target) {
  const uint8_t *end = source + length;
  uint8_t *out = target;
  while (source < end) {
    const uint8_t *stop = memchr(source, '\n', (size_t)(end - source));
    size_t line = (size_t)((stop == NULL ? end : stop) - source);
    if (line > 0) {
      put_u32(out, (uint32_t)line);
      memcpy(out + 4, source, line);
      out += 4 + line;
    }
    if (stop == NULL) break;
    source += line + 1;
  }
  return (size_t)(out - target);
}

size_t framing_line_ends(const uint8_t *source, size_t length) {
  // Counted in blocks of 255 so that the inner loop sums bytes, which compilers turn into vector code.
  size_t lines = 0;
  for (size_t at = 0; at < length;) {
    size_t stop = length - at > 255 ? at + 255 : length;
    uint8_t block = 0;
    for (; at < stop; at++) block += source[at] == '\n';
    lines += block;
  }
  return lines;
}

static size_t framed_length(const uint8_t *source, size_t length) {
  size_t total = 0;
  for (size_t at = 0; at < length;) {
    const uint8_t *stop = memchr(source + at, '\n', length - at);
    size_t line = stop == NULL ? length - at : (size_t)(stop - source) - at;
    if (line > 0) total += 4 + line;
    at += line + 1;
  }
  return total;
}

bool framing_has_room(const uint8_t *source, size_t length, size_t room) {
  // Most callers have room for the most that so many bytes, or so many lines, can need; else it is found exactly.
  if (room / 5 > length) return true;
  size_t most = length + 3 * framing_line_ends(source, length) + 4;
  return most <= room || framed_length(source, length) <= room;
}

int64_t framing_count(const uint8_t *entries, size_t length) {
  int64_t count = 0;
  size_t at = 0;
  while (length - at >= 4) {
    uint32_t entry = get_u32(entries + at);
    if (entry == 0 || entry > length - at - 4) return -1;
    at += 4 + (size_t)entry;
    count++;
  }
  return at == length ? count : -1;
}

framing_walk framing_start(const uint8_t *frame, size_t length) {
  framing_walk walk = {frame, 8, length < 8 ? 0 : get_u32(frame + 4), 0};
  walk.end = length < 8 || walk.end > length - 8 ? 8 : 8 + walk.end;
  return walk;
}

void framing_walk_to(framing_walk *walk, size_t to) {
  size_t stop = to < walk->end ? to : walk->end;
  while (stop >= 4 && walk->at <= stop - 4) {
    walk->at += 4 + (size_t)get_u32(walk->frame + walk->at);
    walk->count++;
  }
}

size_t framing_bounds(const uint8_t *entries, size_t length, int32_t *bounds, size_t room) {
  size_t count = 0, at = 0;
  while (count < room && length - at >= 4) {
    uint32_t entry = get_u32(entries + at);
    if (entry == 0 || entry > length - at - 4) break;
    bounds[2 * count] = (int32_t)(at + 4);
    at += 4 + (size_t)entry;
    bounds[2 * count + 1] = (int32_t)at;
    count++;
  }
  return count;
}

int framing_tally(const uint8_t *entries, size_t length, uint32_t *sizes, uint32_t *counts, size_t tags) {
  for (size_t at = 0; at < length;) {
    if (length - at < 8) return -1;
    uint32_t entry = get_u32(entries + at), tag = get_u32(entries + at + 4);
    if (entry < 5 || entry > length - at - 4 || tag >= tags) return -1;
    sizes[tag] += entry;
    counts[tag]++;
    at += 4 + (size_t)entry;
  }
  return 0;
}

int framing_scatter(const uint8_t *entries, size_t length, uint8_t *target, size_t room, double *places,
                    size_t tags) {
  for (size_t at = 0; at < length;) {
    if (length - at < 8) return -1;
    uint32_t entry = get_u32(entries + at), tag = get_u32(entries + at + 4);
    if (entry < 5 || entry > length - at - 4 || tag >= tags) return -1;
    size_t to = (size_t)places[tag];
    if (to > room || entry > room - to) return -1;
    put_u32(target + to, entry - 4);
    memcpy(target + to + 4, entries + at + 8, entry - 4);
    places[tag] += entry;
    at += 4 + (size_t)entry;
  }
  return 0;
}

int framing_join_records(const uint8_t *source, size_t length, const int32_t *bounds, size_t count, uint8_t *target,
                         size_t room, enum framing_join form, size_t *next, size_t *at) {
  for (; *next < count; (*next)++) {
    int32_t start = bounds[2 * *next], stop = bounds[2 * *next + 1];
    if (start < 0 || stop < start || (size_t)stop > length) return -1;
    size_t record = (size_t)(stop - start);
    bool ends = form == JOIN_LINES || (form == JOIN_UNENDED && (record == 0 || source[stop - 1] != '\n'));
    size_t before = form == JOIN_LENGTHS ? 4 : 0;
    if (before + record + ends > room - *at) return 0;
    uint8_t *out = target + *at;
    if (before > 0) {
      for (int i = 0; i < 4; i++) out[i] = (uint8_t)(record >> (24 - 8 * i));
    }
    if (record > 0) memcpy(out + before, source + start, record);
    if (ends) out[before + record] = '\n';
    *at += before + record + ends;
  }
  return 0;
}
