#include "lane.h"

#include <string.h>

#include "checksum.h"

#define WRITTEN_AT 0
#define DRAINED_AT 64
#define NOTES_AT 128
#define RECORD_HEADER 8
#define WHOLE 0x80000000u
#define LENGTH_MASK 0x1fffffffu
#define TYPE_SHIFT 29
#define CHECK_MARK 0x626d6f62u
#define MOST_POSITION ((uint64_t)1 << 53)

// Numbers are little-endian, as on every processor there is a binary for.
static uint64_t *position_at(const lane_ring *ring, size_t at) { return (uint64_t *)(void *)(ring->state + at); }

uint64_t lane_written(const lane_ring *ring) {
  return __atomic_load_n(position_at(ring, WRITTEN_AT), __ATOMIC_ACQUIRE);
}

uint64_t lane_drained(const lane_ring *ring) {
  return __atomic_load_n(position_at(ring, DRAINED_AT), __ATOMIC_ACQUIRE);
}

uint8_t *lane_notes(const lane_ring *ring) { return ring->state + NOTES_AT; }

// Whether so much can lie between two positions.
static bool is_distance(const lane_ring *ring, uint64_t from, uint64_t to) {
  return from <= to && to - from <= ring->capacity;
}

bool lane_attach(lane_ring *ring, void *memory, uint64_t header, uint64_t capacity, bool is_checked) {
  uint8_t *state = (uint8_t *)memory + header;
  *ring = (lane_ring){state, state + LANE_STATE_BYTES, capacity, is_checked, 0, 0};
  uint64_t written = lane_written(ring), drained = lane_drained(ring);
  ring->next = written;
  ring->offset = written % capacity;
  return is_distance(ring, drained, written) && written < MOST_POSITION && (written | drained) % 8 == 0;
}

bool lane_release(lane_ring *ring, uint64_t to) {
  if (to < lane_drained(ring) || to > lane_written(ring) || to % 8 != 0) return false;
  __atomic_store_n(position_at(ring, DRAINED_AT), to, __ATOMIC_RELEASE);
  return true;
}

// Header, payload, and the zeros up to a multiple of 8 that end it, at least one.
static uint64_t record_bytes(uint64_t length) { return RECORD_HEADER + length + 8 - length % 8; }

static uint64_t free_bytes(const lane_ring *ring) {
  uint64_t drained = lane_drained(ring);
  // Whoever can write there can also stop the log; but nothing may be overwritten outside.
  return is_distance(ring, drained, ring->next) ? ring->capacity - (ring->next - drained) : 0;
}

static uint32_t check_word(const lane_ring *ring, uint64_t position, uint32_t word, const uint8_t *payload,
                           uint64_t length) {
  if (!ring->is_checked) return (uint32_t)(position / 8) ^ word ^ CHECK_MARK;
  uint8_t prefix[12];
  memcpy(prefix, &position, sizeof position);
  memcpy(prefix + sizeof position, &word, sizeof word);
  return checksum_crc32c(checksum_crc32c(0, prefix, sizeof prefix), payload, length);
}

// The first word is stored last, so that a header is whole or none.
static void write_header(const lane_ring *ring, enum lane_type type, uint64_t length, uint64_t hashed) {
  uint8_t *at = ring->data + ring->offset;
  uint32_t word = WHOLE | (uint32_t)type << TYPE_SHIFT | (uint32_t)length;
  uint32_t check = check_word(ring, ring->next, word, at + RECORD_HEADER, hashed);
  memcpy(at + sizeof word, &check, sizeof check);
  __atomic_store_n((uint32_t *)(void *)at, word, __ATOMIC_RELEASE);
}

uint64_t lane_room_here(const lane_ring *ring, uint8_t **place) {
  uint64_t rest = ring->capacity - ring->offset, free = free_bytes(ring);
  uint64_t bytes = rest < free ? rest : free;
  *place = ring->data + ring->offset + RECORD_HEADER;
  // Of a payload that is one less, the record has so many bytes.
  return bytes > RECORD_HEADER + 8 ? bytes - RECORD_HEADER - 1 : 0;
}

uint8_t *lane_make_room(lane_ring *ring, uint64_t length) {
  uint64_t bytes = record_bytes(length), rest = ring->capacity - ring->offset, free = free_bytes(ring);
  if (bytes <= rest) return bytes <= free ? ring->data + ring->offset + RECORD_HEADER : NULL;
  if (bytes > ring->capacity || rest + bytes > free) return NULL;
  // Seen by nobody until the record behind it is published.
  write_header(ring, LANE_UNUSED, rest - RECORD_HEADER, 0);
  ring->next += rest;
  ring->offset = 0;
  return ring->data + RECORD_HEADER;
}

// The last word of a record has its last bytes and zeros.
static void end_payload(uint8_t *payload, uint64_t length) {
  uint64_t word, over = length % 8;
  uint8_t *at = payload + length - over;
  memcpy(&word, at, sizeof word);
  word &= ((uint64_t)1 << over * 8) - 1;
  memcpy(at, &word, sizeof word);
}

void lane_publish(lane_ring *ring, enum lane_type type, uint64_t length) {
  uint64_t bytes = record_bytes(length);
  end_payload(ring->data + ring->offset + RECORD_HEADER, length);
  write_header(ring, type, length, length);
  ring->next += bytes;
  ring->offset += bytes;
  if (ring->offset == ring->capacity) ring->offset = 0;
  __atomic_store_n(position_at(ring, WRITTEN_AT), ring->next, __ATOMIC_RELEASE);
}

// The first word of the record at `position`; 0 unless it is a sound one that ends at `end` or before.
static uint32_t sound_word(const lane_ring *ring, uint64_t position, uint64_t end) {
  uint64_t offset = position % ring->capacity, rest = ring->capacity - offset, left = end - position;
  if (left < RECORD_HEADER || position % 8 != 0) return 0;
  const uint8_t *at = ring->data + offset;
  uint32_t word = __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE), check;
  uint64_t length = word & LENGTH_MASK;
  uint32_t type = word >> TYPE_SHIFT & 3;
  uint64_t bytes = type == LANE_UNUSED ? RECORD_HEADER + length : record_bytes(length);
  if (word < WHOLE || bytes > rest || bytes > left) return 0;
  if (type == LANE_UNUSED ? bytes != rest : type == LANE_LARGE ? length != LANE_REFERENCE_BYTES : type != LANE_RECORD) {
    return 0;
  }
  memcpy(&check, at + sizeof word, sizeof check);
  if (check != check_word(ring, position, word, at + RECORD_HEADER, type == LANE_UNUSED ? 0 : length)) return 0;
  return word;
}

static void take_reference(const uint8_t *payload, lane_found *found) {
  memcpy(&found->number, payload, sizeof found->number);
  memcpy(&found->crc, payload + 4, sizeof found->crc);
  memcpy(&found->length, payload + 8, sizeof found->length);
}

enum lane_end lane_read(const lane_ring *ring, uint8_t *target, uint64_t room, uint32_t *ends, uint64_t most_ends,
                        lane_found *found) {
  uint64_t end = lane_written(ring);
  found->needs = 0;
  if (!is_distance(ring, found->next, end)) return LANE_DAMAGED;
  // Ends, because each turn moves `next` on by at least a header.
  while (found->next < end && found->records < most_ends) {
    uint32_t word = sound_word(ring, found->next, end);
    if (word == 0) return LANE_DAMAGED;
    uint64_t length = word & LENGTH_MASK;
    uint32_t type = word >> TYPE_SHIFT & 3;
    if (type == LANE_UNUSED) {
      found->next += RECORD_HEADER + length;
      continue;
    }
    const uint8_t *payload = ring->data + found->next % ring->capacity + RECORD_HEADER;
    if (type == LANE_LARGE) {
      take_reference(payload, found);
      return LANE_NAMES_LARGE;
    }
    if (length > room - found->bytes) {
      found->needs = length;
      return LANE_DONE;
    }
    if (length > 0) memcpy(target + found->bytes, payload, length);
    found->bytes += length;
    found->next += record_bytes(length);
    ends[found->records++] = (uint32_t)found->bytes;
  }
  return LANE_DONE;
}
