// Rings of a lane in mapped files.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bindings.h"

#ifndef _WIN32
#include "lane.h"
#include "platform.h"

// Lives until the collector finds its handle, or the environment ends; `memory` is NULL once it is closed.
typedef struct {
  // Tells it from the other handles that JavaScript may hold.
  const void *kind;
  lane_ring ring;
  void *memory;
  size_t length;
} mapping;

static const char mapping_kind;

static void unmap(mapping *mapped) {
  // Fails only for what was never mapped.
  if (mapped->memory != NULL) (void)platform_unmap(mapped->memory, mapped->length);
  mapped->memory = NULL;
}

static void end_mapping(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  unmap(data);
  free(data);
}

// The next argument is what laneMap returned.
static mapping *take_mapping(arguments *args) {
  void *data = NULL;
  napi_value handle = take_value(args);
  if (args->failed) return NULL;
  if (napi_get_value_external(args->env, handle, &data) == napi_ok && ((mapping *)data)->kind == &mapping_kind) {
    return data;
  }
  args->failed = true;
  napi_throw_type_error(args->env, NULL, "logboom addon: expected what laneMap returned");
  return NULL;
}

// The same, and not closed.
static mapping *take_open(arguments *args) {
  mapping *mapped = take_mapping(args);
  if (args->failed || mapped->memory != NULL) return mapped;
  args->failed = true;
  throw_system_error(args->env, "lane", EBADF);
  return NULL;
}

// laneAvailable(): boolean
static napi_value lane_available(napi_env env, napi_callback_info info) {
  (void)info;
  return give_bool(env, true);
}

// laneMap(fd, headerBytes, capacityBytes, isChecked): handle; EBADMSG if the positions in it are those of no ring
static napi_value lane_map(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 4);
  napi_value handle;
  int32_t fd = take_int32(&args);
  uint32_t header = take_uint32(&args);
  uint32_t capacity = take_uint32(&args);
  bool is_checked = take_bool(&args);
  if (args.failed) return NULL;
  if (header % 8 != 0 || capacity == 0 || capacity % 8 != 0) return throw_system_error(env, "laneMap", EINVAL);
  mapping *mapped = calloc(1, sizeof *mapped);
  if (mapped == NULL) return throw_system_error(env, "laneMap", ENOMEM);
  mapped->kind = &mapping_kind;
  mapped->length = (size_t)header + LANE_STATE_BYTES + capacity;
  int result = platform_map(fd, mapped->length, &mapped->memory);
  if (result == 0 && !lane_attach(&mapped->ring, mapped->memory, header, capacity, is_checked)) result = -EBADMSG;
  if (result == 0 && napi_create_external(env, mapped, end_mapping, NULL, &handle) == napi_ok) return handle;
  end_mapping(env, mapped, NULL);
  return result < 0 ? throw_system_error(env, "laneMap", -result) : throw_internal_error(env, "cannot make a handle");
}

// laneUnmap(handle); a second time nothing happens
static napi_value lane_unmap(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  mapping *mapped = take_mapping(&args);
  if (!args.failed) unmap(mapped);
  return NULL;
}

// The most that a character takes.
#define MOST_CHARACTER 4
// With less room a text is measured first, so that few are copied in vain.
#define QUICK_ROOM 4096

static napi_value append_text(napi_env env, lane_ring *ring, napi_value text) {
  size_t length;
  if (napi_get_value_string_utf8(env, text, NULL, 0, &length) != napi_ok) {
    return throw_internal_error(env, "cannot measure a text");
  }
  uint8_t *place = lane_make_room(ring, length);
  if (place == NULL) return give_bool(env, false);
  if (napi_get_value_string_utf8(env, text, (char *)place, length + 1, &length) != napi_ok) {
    return throw_internal_error(env, "cannot read a text");
  }
  lane_publish(ring, LANE_RECORD, length);
  return give_bool(env, true);
}

static napi_value append_bytes(napi_env env, lane_ring *ring, byte_view bytes, enum lane_type type) {
  uint8_t *place = lane_make_room(ring, bytes.length);
  if (place == NULL) return give_bool(env, false);
  if (bytes.length > 0) memcpy(place, bytes.data, bytes.length);
  lane_publish(ring, type, bytes.length);
  return give_bool(env, true);
}

// laneAppend(handle, record: string | Uint8Array): boolean; false if there is no room
static napi_value lane_append(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  mapping *mapped = take_open(&args);
  napi_value record = take_value(&args);
  uint8_t *place;
  size_t length;
  if (args.failed) return NULL;
  uint64_t room = lane_room_here(&mapped->ring, &place);
  // One call tells the type and copies the text. Only where its end may have been cut off it is measured, which costs a walk.
  bool is_quick = room >= QUICK_ROOM;
  switch (napi_get_value_string_utf8(env, record, is_quick ? (char *)place : NULL, room + 1, &length)) {
  case napi_ok:
    if (!is_quick || length + MOST_CHARACTER > room) return append_text(env, &mapped->ring, record);
    lane_publish(&mapped->ring, LANE_RECORD, length);
    return give_bool(env, true);
  case napi_string_expected: {
    byte_view bytes = bytes_of(&args, record);
    return args.failed ? NULL : append_bytes(env, &mapped->ring, bytes, LANE_RECORD);
  }
  default:
    return throw_internal_error(env, "cannot read a text");
  }
}

// laneAppendReference(handle, reference: Uint8Array): boolean; false if there is no room
static napi_value lane_append_reference(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  mapping *mapped = take_open(&args);
  byte_view bytes = take_bytes(&args);
  if (args.failed) return NULL;
  if (bytes.length != LANE_REFERENCE_BYTES) return throw_system_error(env, "lane", EINVAL);
  return append_bytes(env, &mapped->ring, bytes, LANE_LARGE);
}

// laneWritten(handle): number
static napi_value written_position(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  mapping *mapped = take_open(&args);
  return args.failed ? NULL : give_number(env, (double)lane_written(&mapped->ring));
}

// laneDrained(handle): number
static napi_value drained_position(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  mapping *mapped = take_open(&args);
  return args.failed ? NULL : give_number(env, (double)lane_drained(&mapped->ring));
}

// laneRelease(handle, to)
static napi_value release(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  mapping *mapped = take_open(&args);
  int64_t to = take_int64(&args);
  if (args.failed) return NULL;
  return to >= 0 && lane_release(&mapped->ring, (uint64_t)to) ? NULL : throw_system_error(env, "lane", EINVAL);
}

// The numbers of `found` that laneRead takes and gives.
enum { RECORDS, BYTES, NEXT, NEEDS, NUMBER, CRC, LENGTH, FOUND_NUMBERS };

// laneRead(handle, target: Uint8Array, ends: Uint32Array, found: Float64Array): why it stopped, see lane.h
static napi_value read_records(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 4);
  size_t most_ends, numbers;
  mapping *mapped = take_open(&args);
  byte_view target = take_bytes(&args);
  uint32_t *ends = take_array(&args, napi_uint32_array, &most_ends);
  double *found = take_array(&args, napi_float64_array, &numbers);
  if (args.failed) return NULL;
  if (numbers < FOUND_NUMBERS || target.length > UINT32_MAX ||
      !(found[RECORDS] >= 0 && found[RECORDS] <= (double)most_ends) ||
      !(found[BYTES] >= 0 && found[BYTES] <= (double)target.length) ||
      !(found[NEXT] >= 0 && found[NEXT] <= 9007199254740991.0)) {
    return throw_system_error(env, "lane", EINVAL);
  }
  lane_found state = {
      .records = (uint64_t)found[RECORDS], .bytes = (uint64_t)found[BYTES], .next = (uint64_t)found[NEXT]};
  enum lane_end end = lane_read(&mapped->ring, target.data, target.length, ends, most_ends, &state);
  found[RECORDS] = (double)state.records;
  found[BYTES] = (double)state.bytes;
  found[NEXT] = (double)state.next;
  found[NEEDS] = (double)state.needs;
  found[NUMBER] = state.number;
  found[CRC] = state.crc;
  found[LENGTH] = (double)state.length;
  return give_number(env, end);
}

// laneNotes(handle, slots: Uint8Array): copies both note slots to `slots`
static napi_value load_notes(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  mapping *mapped = take_open(&args);
  byte_view slots = take_bytes(&args);
  if (args.failed) return NULL;
  if (slots.length < 2 * LANE_NOTE_BYTES) return throw_system_error(env, "lane", EINVAL);
  memcpy(slots.data, lane_notes(&mapped->ring), 2 * LANE_NOTE_BYTES);
  return NULL;
}

// laneNote(handle, which, slot: Uint8Array): replaces note slot 0 or 1
static napi_value store_note(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 3);
  mapping *mapped = take_open(&args);
  uint32_t which = take_uint32(&args);
  byte_view slot = take_bytes(&args);
  if (args.failed) return NULL;
  if (which > 1 || slot.length < LANE_NOTE_BYTES) return throw_system_error(env, "lane", EINVAL);
  memcpy(lane_notes(&mapped->ring) + which * LANE_NOTE_BYTES, slot.data, LANE_NOTE_BYTES);
  // What the note announces must not be done before it is there.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return NULL;
}

#endif

const binding lane_bindings[] = {
    {"laneAvailable", ONLY_POSIX(lane_available)},
    {"laneMap", ONLY_POSIX(lane_map)},
    {"laneUnmap", ONLY_POSIX(lane_unmap)},
    {"laneAppend", ONLY_POSIX(lane_append)},
    {"laneAppendReference", ONLY_POSIX(lane_append_reference)},
    {"laneWritten", ONLY_POSIX(written_position)},
    {"laneDrained", ONLY_POSIX(drained_position)},
    {"laneRelease", ONLY_POSIX(release)},
    {"laneRead", ONLY_POSIX(read_records)},
    {"laneNotes", ONLY_POSIX(load_notes)},
    {"laneNote", ONLY_POSIX(store_note)},
    {NULL, NULL},
};
