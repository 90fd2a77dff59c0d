// Lines, and the entries that direct files keep them in.
#include <string.h>

#include "bindings.h"
#include "framing.h"
#include "json.h"

// What is stored as an int32 must have room there.
static bool fits_int32(napi_env env, byte_view bytes) {
  if (bytes.start + bytes.length <= INT32_MAX) return true;
  throw_range_error(env, "more bytes than offsets can tell");
  return false;
}

// frameLines(source, start, end, target, at): number
static napi_value frame_lines(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  byte_view source = take_part(&args);
  byte_view target = take_rest(&args);
  if (args.failed) return NULL;
  if (!framing_has_room(source.data, source.length, target.length)) {
    return throw_range_error(env, "no room for the lines");
  }
  return give_number(env, (double)framing_lines(source.data, source.length, target.data));
}

// countEntries(data, start, end): number
static napi_value count_entries(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 3);
  byte_view bytes = take_part(&args);
  if (args.failed) return NULL;
  return give_number(env, (double)framing_count(bytes.data, bytes.length));
}

// entryBounds(data, start, end, bounds: Int32Array): number
static napi_value entry_bounds(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 4);
  size_t room;
  byte_view bytes = take_part(&args);
  int32_t *bounds = take_array(&args, napi_int32_array, &room);
  if (args.failed || !fits_int32(env, bytes)) return NULL;
  return give_number(env, (double)framing_bounds(bytes.data, bytes.length, bounds, room / 2));
}

static napi_value check_entries(napi_env env, int result) {
  return result == 0 ? NULL : throw_range_error(env, "entries are not whole");
}

// tallyTags(data, start, end, sizes: Uint32Array, counts: Uint32Array)
static napi_value tally_tags(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  size_t size_count, count_count;
  byte_view bytes = take_part(&args);
  uint32_t *sizes = take_array(&args, napi_uint32_array, &size_count);
  uint32_t *counts = take_array(&args, napi_uint32_array, &count_count);
  if (args.failed) return NULL;
  size_t tags = size_count < count_count ? size_count : count_count;
  return check_entries(env, framing_tally(bytes.data, bytes.length, sizes, counts, tags));
}

// scatterTags(data, start, end, target, places: Float64Array)
static napi_value scatter_tags(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  size_t tags;
  byte_view bytes = take_part(&args);
  byte_view target = take_bytes(&args);
  double *places = take_array(&args, napi_float64_array, &tags);
  if (args.failed) return NULL;
  return check_entries(env, framing_scatter(bytes.data, bytes.length, target.data, target.length, places, tags));
}

// joinRecords(source, bounds: Int32Array, target, form, state: Uint32Array)
static napi_value join_records(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  size_t bound_count, state_count;
  byte_view source = take_bytes(&args);
  int32_t *bounds = take_array(&args, napi_int32_array, &bound_count);
  byte_view target = take_bytes(&args);
  int32_t form = take_int32(&args);
  uint32_t *state = take_array(&args, napi_uint32_array, &state_count);
  if (args.failed) return NULL;
  bool is_asked = form >= 0 && form < JOIN_FORMS && state_count >= 2 && state[1] <= target.length;
  if (!is_asked || target.length > UINT32_MAX) return throw_range_error(env, "records cannot be joined so");
  size_t next = state[0], at = state[1];
  int result = framing_join_records(source.data, source.length, bounds, bound_count / 2, target.data, target.length,
                                    (enum framing_join)form, &next, &at);
  if (result < 0) return throw_range_error(env, "a record outside the array");
  state[0] = (uint32_t)next;
  state[1] = (uint32_t)at;
  return NULL;
}

// scanLines(data, start, end, key, out: Int32Array): number
static napi_value scan_lines(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  size_t room;
  byte_view bytes = take_part(&args);
  byte_view key = take_bytes(&args);
  int32_t *out = take_array(&args, napi_int32_array, &room);
  if (args.failed || !fits_int32(env, bytes)) return NULL;
  int32_t start = (int32_t)bytes.start;
  size_t at = 0, lines = 0;
  while (at < bytes.length && lines < room / 3) {
    const uint8_t *line = bytes.data + at;
    const uint8_t *stop = memchr(line, '\n', bytes.length - at);
    size_t length = stop == NULL ? bytes.length - at : (size_t)(stop - line);
    size_t from = 0, to = 0;
    enum json_value value = json_find_string(line, length, key.data, key.length, &from, &to);
    int32_t origin = start + (int32_t)at;
    out[3 * lines + 1] = value == JSON_STRING    ? origin + (int32_t)from
                         : value == JSON_ESCAPED ? -(origin + (int32_t)from)
                                                 : 0;
    out[3 * lines + 2] = value == JSON_NO_STRING ? 0 : value == JSON_TOO_DEEP ? -1 : origin + (int32_t)to;
    at += length + (stop == NULL ? 0 : 1);
    out[3 * lines] = start + (int32_t)at;
    lines++;
  }
  return give_number(env, (double)lines);
}

const binding framing_bindings[] = {
    {"frameLines", frame_lines},
    {"countEntries", count_entries},
    {"entryBounds", entry_bounds},
    {"joinRecords", join_records},
    {"scanLines", scan_lines},
    {"tallyTags", tally_tags},
    {"scatterTags", scatter_tags},
    {NULL, NULL},
};
