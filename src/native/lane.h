// The ring of a lane in mapped memory: src/formats/lane.ts says what its bytes mean. Nothing that is found there is
// trusted: positions and lengths are read once and compared with what can be before anything is touched.
#ifndef LOGBOOM_LANE_H
#define LOGBOOM_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANE_NOTE_BYTES 64
#define LANE_REFERENCE_BYTES 16
// Bytes behind the header and before the data.
#define LANE_STATE_BYTES 4096

enum lane_type { LANE_RECORD = 0, LANE_UNUSED = 1, LANE_LARGE = 2 };

typedef struct {
  uint8_t *state;
  uint8_t *data;
  uint64_t capacity;
  bool is_checked;
  // Where the producer's next record begins: at the position published, but for a rest of the data that is skipped. And
  // the same within the data, as divisions cost more than anything else here.
  uint64_t next;
  uint64_t offset;
} lane_ring;

// `memory` has a header of so many bytes, the state and the data. False if the positions in it are those of no ring.
bool lane_attach(lane_ring *ring, void *memory, uint64_t header, uint64_t capacity, bool is_checked);

uint64_t lane_written(const lane_ring *ring);
uint64_t lane_drained(const lane_ring *ring);
// False if `to` is not between the two.
bool lane_release(lane_ring *ring, uint64_t to);

// How long the payload at the next position may be, with one byte more behind it, without a look elsewhere; and its place.
// 0 if there is none, or little.
uint64_t lane_room_here(const lane_ring *ring, uint8_t **place);
// Where one of exactly `length` bytes has its place; NULL if there is no room now.
uint8_t *lane_make_room(lane_ring *ring, uint64_t length);
// Makes the payload of `length` bytes, written to the place that one of these gave, a record that readers see.
void lane_publish(lane_ring *ring, enum lane_type type, uint64_t length);

enum lane_end { LANE_DONE = 0, LANE_DAMAGED = 1, LANE_NAMES_LARGE = 2 };

typedef struct {
  // In and out: records copied, bytes of their payloads, position of the next one.
  uint64_t records;
  uint64_t bytes;
  uint64_t next;
  // The length of the next payload, if it is too long for what is left of the target; else 0.
  uint64_t needs;
  // Of a record that is in a file of its own.
  uint32_t number;
  uint32_t crc;
  uint64_t length;
} lane_found;

// Copies payloads to `target` from `found` on, and stores where each ends there in `ends`, until either is full, nothing
// is left, or something else comes.
enum lane_end lane_read(const lane_ring *ring, uint8_t *target, uint64_t room, uint32_t *ends, uint64_t most_ends,
                        lane_found *found);

// The two slots for notes.
uint8_t *lane_notes(const lane_ring *ring);

#endif
