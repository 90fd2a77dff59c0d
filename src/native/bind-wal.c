// Records of the write-ahead log.
#include <errno.h>

#include "bindings.h"
#include "wal-scan.h"

// What is stored of an offset is a u32.
static bool fits_uint32(napi_env env, byte_view bytes) {
  if (bytes.start + bytes.length <= UINT32_MAX) return true;
  throw_range_error(env, "more bytes than offsets can tell");
  return false;
}

// walScan(data, start, end, seed, rows): number of rows filled
static napi_value wal_scan_rows(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  size_t room;
  byte_view whole = take_bytes(&args);
  byte_view bytes = take_range(&args, &whole);
  uint32_t seed = take_uint32(&args);
  uint32_t *rows = take_array(&args, napi_uint32_array, &room);
  if (args.failed || !fits_uint32(env, bytes)) return NULL;
  return give_number(env,
                     (double)wal_scan(whole.data, bytes.start, bytes.start + bytes.length, seed, rows,
                                      room / WAL_ROW));
}

// Columns of the array that tells of a run: wal-scan.ts.
enum { RUN_CRC, RUN_INDEX, RUN_COMMIT, RUN_LIMIT, RUN_END, RUN_ENTRIES, RUN_STATES, RUN_COMMITTED_END, RUN_COMMITTED_CRC,
       RUN_COMMITTED_INDEX, RUN_COLUMNS };
#define MOST_INDEX 9007199254740991.0

static bool is_index(double value) { return value >= 0 && value <= MOST_INDEX; }

// walFollow(data, start, end, run: Float64Array, bounds?: Int32Array, frames?: Int32Array)
static napi_value wal_follow_run(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 6);
  size_t columns, bound_room = 0, frame_room = 0;
  byte_view whole = take_bytes(&args);
  byte_view bytes = take_range(&args, &whole);
  double *columns_of = take_array(&args, napi_float64_array, &columns);
  int32_t *bounds = NULL, *frames = NULL;
  bool has_places = next_type(&args) != napi_undefined;
  if (has_places) {
    bounds = take_array(&args, napi_int32_array, &bound_room);
    frames = take_array(&args, napi_int32_array, &frame_room);
  }
  if (args.failed || !fits_uint32(env, bytes)) return NULL;
  size_t room = !has_places ? SIZE_MAX : frame_room < bound_room / 2 ? frame_room : bound_room / 2;
  bool is_run = columns >= RUN_COLUMNS && columns_of[RUN_CRC] >= 0 && columns_of[RUN_CRC] <= UINT32_MAX && is_index(columns_of[RUN_INDEX]) && is_index(columns_of[RUN_COMMIT]) &&
                 is_index(columns_of[RUN_LIMIT]);
  if (!is_run || bytes.start + bytes.length > INT32_MAX) return throw_system_error(env, "walFollow", EINVAL);
  wal_run run = {
      .crc = (uint32_t)columns_of[RUN_CRC],
      .index = (uint64_t)columns_of[RUN_INDEX],
      .commit = (uint64_t)columns_of[RUN_COMMIT],
      .limit = (uint64_t)columns_of[RUN_LIMIT],
      .committed_end = SIZE_MAX,
  };
  wal_follow(whole.data, bytes.start, bytes.start + bytes.length, &run, bounds, frames, room);
  columns_of[RUN_CRC] = run.crc;
  columns_of[RUN_INDEX] = (double)run.index;
  columns_of[RUN_COMMIT] = (double)run.commit;
  columns_of[RUN_END] = (double)run.end;
  columns_of[RUN_ENTRIES] = (double)run.entries;
  columns_of[RUN_STATES] = (double)run.states;
  columns_of[RUN_COMMITTED_END] = run.committed_end == SIZE_MAX ? -1 : (double)run.committed_end;
  columns_of[RUN_COMMITTED_CRC] = run.committed_crc;
  columns_of[RUN_COMMITTED_INDEX] = (double)run.committed_index;
  return NULL;
}

// walSeal(data, start, end, crc: Uint32Array): the new end; the last checksum replaces crc[0]
static napi_value wal_seal_frames(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 4);
  size_t room;
  byte_view whole = take_bytes(&args);
  byte_view bytes = take_range(&args, &whole);
  uint32_t *crc = take_array(&args, napi_uint32_array, &room);
  if (args.failed) return NULL;
  if (room == 0) return throw_system_error(env, "walSeal", EINVAL);
  size_t end = wal_seal(whole.data, bytes.start, bytes.start + bytes.length, crc);
  return give_number(env, (double)end);
}

const binding wal_bindings[] = {
    {"walScan", wal_scan_rows},
    {"walFollow", wal_follow_run},
    {"walSeal", wal_seal_frames},
    {NULL, NULL},
};
