// Length-prefixed entries: a u32 LE length, then that many bytes.
#ifndef LOGBOOM_FRAMING_H
#define LOGBOOM_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Writes each line of `source` (without its line end; empty lines are left out) as an entry. A last line
// without line end counts as a line. `target` must have room for `length` bytes + 4 per line, less one per line
// end. Returns the bytes written.
size_t framing_lines(const uint8_t *source, size_t length, uint8_t *target);

// Whether `room` is enough for that.
bool framing_has_room(const uint8_t *source, size_t length, size_t room);

// The number of line ends.
size_t framing_line_ends(const uint8_t *source, size_t length);

// The number of entries that fill `length` bytes exactly; -1 if they do not, or one has length 0.
int64_t framing_count(const uint8_t *entries, size_t length);

// Counts the entries of a frame in steps, as a reader comes by: those whose length lies before `to`.
typedef struct {
  const uint8_t *frame;
  size_t at;
  size_t end;
  uint32_t count;
} framing_walk;

framing_walk framing_start(const uint8_t *frame, size_t length);
void framing_walk_to(framing_walk *walk, size_t to);

// Start and end of each whole entry as pairs of offsets into `entries`, at most `room` pairs. Stops before an
// entry of length 0 or one that is not whole. Returns the number of pairs.
size_t framing_bounds(const uint8_t *entries, size_t length, int32_t *bounds, size_t room);

// Records that begin with a u32 number ("tag"): adds the bytes that the entries of each tag take without it to
// `sizes`, and their number to `counts`. Returns -1 if an entry is not whole or its tag is not below `tags`.
int framing_tally(const uint8_t *entries, size_t length, uint32_t *sizes, uint32_t *counts, size_t tags);

// Copies each entry without its tag to `target` at the place of its tag, and moves that place on.
// Only after framing_tally has accepted the entries.
int framing_scatter(const uint8_t *entries, size_t length, uint8_t *target, size_t room, double *places,
                    size_t tags);

// What stands around records that are put one behind the other: nothing, a line end behind each, a line end unless the
// record ends with one, or its length before it (u32 BE). The numbers are those of index.ts.
enum framing_join { JOIN_PLAIN, JOIN_LINES, JOIN_UNENDED, JOIN_LENGTHS, JOIN_FORMS };

// Copies the records at bounds[*next] and the following ones to target[*at, room) as long as they fit whole; both numbers
// move on. Returns -1 if a record does not lie within `source`.
int framing_join_records(const uint8_t *source, size_t length, const int32_t *bounds, size_t count, uint8_t *target,
                         size_t room, enum framing_join form, size_t *next, size_t *at);

#endif
