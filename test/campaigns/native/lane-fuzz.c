// Uses rings in any order, in memory of exactly their size, so that a sanitizer sees the first byte beyond it. In every
// second episode nothing else touches the ring, and what comes out must be what went in; in the others it is changed all
// the time, often so that checks are right. Called with a seed and the number of episodes.
#include <stdio.h>
#include <stdlib.h>

// With what is private there: the checks are to be forged.
#include "lane.c"

enum { HEADER = 64, STEPS = 400, ROOM = 300, MOST_WAITING = 4096 };

static uint64_t state;

static uint32_t draw(uint32_t below) {
  // xorshift64*, Vigna 2016.
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 2685821657736338717ULL >> 32) % below);
}

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static uint8_t byte_of(uint32_t record, uint64_t at) { return (uint8_t)(record * 31 + at); }

typedef struct {
  lane_ring producer;
  lane_ring consumer;
  uint64_t next;
  // Lengths of the records that wait, and the number of the first of them.
  uint32_t lengths[MOST_WAITING];
  uint32_t first;
  uint32_t appended;
} ends;

static void append(ends *both) {
  uint64_t length = draw(8) == 0 ? draw((uint32_t)both->producer.capacity) : draw(60);
  uint8_t *place;
  if (draw(2) == 0) {
    uint64_t room = lane_room_here(&both->producer, &place);
    if (room == 0 || room < length) return;
  } else {
    place = lane_make_room(&both->producer, length);
    if (place == NULL) return;
  }
  for (uint64_t at = 0; at < length; at++) place[at] = byte_of(both->appended, at);
  // As Node-API ends a text.
  place[length] = 0;
  lane_publish(&both->producer, LANE_RECORD, length);
  both->lengths[both->appended++ % MOST_WAITING] = (uint32_t)length;
}

static void compare(ends *both, const uint8_t *bytes, const uint32_t *record_ends, uint64_t records) {
  uint64_t at = 0;
  for (uint64_t i = 0; i < records; i++) {
    uint64_t length = record_ends[i] - at;
    if (both->first == both->appended || both->lengths[both->first % MOST_WAITING] != length) fail("a wrong length");
    for (uint64_t j = 0; j < length; j++) {
      if (bytes[at + j] != byte_of(both->first, j)) fail("a wrong byte");
    }
    both->first++;
    at += length;
  }
}

static void take(ends *both, bool is_clean) {
  uint64_t room = draw(2) == 0 ? draw(ROOM) : both->consumer.capacity, most = draw(12);
  uint8_t *target = malloc(room + 1);
  uint32_t *record_ends = malloc((most + 1) * sizeof *record_ends);
  if (target == NULL || record_ends == NULL) fail("no memory");
  target[room] = 0x5a;
  lane_found found = {.next = both->next};
  enum lane_end end = lane_read(&both->consumer, target, room, record_ends, most, &found);
  if (target[room] != 0x5a || found.records > most || found.bytes > room) fail("more than there is room for");
  if (found.next < both->next || found.next - both->next > both->consumer.capacity) fail("a position beyond the ring");
  if (is_clean) {
    if (end != LANE_DONE) fail("damage where nothing was damaged");
    compare(both, target, record_ends, found.records);
  }
  if (end == LANE_DONE && (draw(2) == 0 || is_clean)) {
    if (lane_release(&both->consumer, found.next)) both->next = found.next;
    else if (is_clean) fail("cannot be released");
  }
  free(target);
  free(record_ends);
}

static void disturb(ends *both) {
  lane_ring *ring = &both->consumer;
  uint64_t position = both->next + draw(64) * 8, offset = position % ring->capacity;
  uint8_t *at = ring->data + offset;
  if (draw(3) == 0) {
    // A sound header of anything; lengths around what fits.
    lane_ring forged = *ring;
    forged.next = position;
    forged.offset = offset;
    uint64_t rest = ring->capacity - offset;
    uint64_t length = draw(4) == 0 ? draw(LENGTH_MASK) : rest + draw(33) >= 24 ? rest + draw(33) - 24 : draw(40);
    uint64_t hashed = length < rest - RECORD_HEADER ? length : rest - RECORD_HEADER;
    enum lane_type type = (enum lane_type)draw(4);
    write_header(&forged, type, length & LENGTH_MASK, type == LANE_UNUSED ? 0 : hashed);
  } else if (draw(2) == 0) {
    uint32_t value = draw(UINT32_MAX);
    memcpy(at, &value, sizeof value);
  } else {
    uint64_t value = draw(3) == 0 ? (uint64_t)draw(UINT32_MAX) << draw(33) : both->next + draw(1200) - 600;
    __atomic_store_n(position_at(ring, draw(2) == 0 ? WRITTEN_AT : DRAINED_AT), value, __ATOMIC_RELEASE);
  }
}

static void episode(bool is_clean) {
  uint64_t capacity = 256 + 64 * draw(16), begin = draw(3) == 0 ? ((uint64_t)1 << 32) - 8 * draw(64) : 8 * draw(1000);
  uint8_t *memory = calloc(1, HEADER + LANE_STATE_BYTES + capacity);
  if (memory == NULL) fail("no memory");
  memcpy(memory + HEADER + WRITTEN_AT, &begin, sizeof begin);
  memcpy(memory + HEADER + DRAINED_AT, &begin, sizeof begin);
  ends both = {.next = begin};
  bool is_checked = draw(2) == 0;
  if (!lane_attach(&both.producer, memory, HEADER, capacity, is_checked) ||
      !lane_attach(&both.consumer, memory, HEADER, capacity, is_checked)) {
    fail("positions that are refused");
  }
  for (int step = 0; step < STEPS; step++) {
    uint32_t choice = draw(10);
    if (choice < 5) append(&both);
    else if (choice < 8 || is_clean) take(&both, is_clean);
    else disturb(&both);
  }
  free(memory);
}

int main(int count, char **arguments) {
  if (count != 3) fail("a seed and the number of episodes");
  state = strtoull(arguments[1], NULL, 10) * 2 + 1;
  uint64_t episodes = strtoull(arguments[2], NULL, 10);
  for (uint64_t i = 0; i < episodes; i++) episode(i % 2 == 0);
  printf("%llu episodes\n", (unsigned long long)episodes);
  return 0;
}
