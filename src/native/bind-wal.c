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
    {"walSeal", wal_seal_frames},
    {NULL, NULL},
};
