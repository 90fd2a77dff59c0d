// Locks, names, state and contents of files.
#include <errno.h>
#include <stdio.h>

#include "bindings.h"
#ifndef _WIN32
#include "hashed-write.h"
#endif
#include "platform.h"

// The caller keeps it short: it blocks the thread. A day stands for everything longer, and for what is no number.
#define MOST_WAIT_MS 86400000.0

// lock(fd, slot, waitMs): boolean; slot -1 is the whole file
static napi_value lock(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 3);
  int32_t fd = take_int32(&args);
  int64_t slot = take_int64(&args);
  double wait_ms = take_double(&args);
  if (args.failed) return NULL;
  if (!(wait_ms < MOST_WAIT_MS)) wait_ms = MOST_WAIT_MS;
  int result = platform_lock(fd, slot, wait_ms > 0 ? (int64_t)(wait_ms * 1000) : 0);
  if (result < 0) return throw_system_error(env, "lock", -result);
  return give_bool(env, result == 1);
}

// unlock(fd, slot)
static napi_value unlock(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  int32_t fd = take_int32(&args);
  int64_t slot = take_int64(&args);
  if (args.failed) return NULL;
  int result = platform_unlock(fd, slot);
  return result < 0 ? throw_system_error(env, "unlock", -result) : NULL;
}

// renameNoReplace(from, to)
static napi_value rename_no_replace(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  char from[PLATFORM_PATH_ROOM], to[PLATFORM_PATH_ROOM];
  take_path(&args, "rename", from);
  take_path(&args, "rename", to);
  if (args.failed) return NULL;
  int result = platform_rename_no_replace(from, to);
  return result < 0 ? throw_system_error(env, "rename", -result) : NULL;
}

#ifndef _WIN32
// stat(pathOrFd, follow, fields: BigInt64Array): boolean; false if nothing is there
static napi_value stat_file(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 3);
  char path[PLATFORM_PATH_ROOM];
  int32_t fd = -1;
  size_t room;
  bool is_open = next_type(&args) == napi_number;
  if (is_open) fd = take_int32(&args);
  else take_path(&args, "stat", path);
  bool follow = take_bool(&args);
  int64_t *fields = take_array(&args, napi_bigint64_array, &room);
  if (args.failed) return NULL;
  if (room < PLATFORM_STAT_FIELDS) return throw_system_error(env, "stat", EINVAL);
  int result = platform_stat(fd, is_open ? NULL : path, follow, fields);
  if (result == 0 || (result == -ENOENT && !is_open)) return give_bool(env, result == 0);
  if (is_open) return throw_system_error(env, "fstat", -result);
  char call[PLATFORM_PATH_ROOM + 16];
  snprintf(call, sizeof call, "stat '%s'", path);
  return throw_system_error(env, call, -result);
}

// writevHashed(fd, pieces: Uint8Array[], position, crc: Uint32Array, entries?: Uint32Array): number
static napi_value writev_hashed(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  struct iovec pieces[1024];
  uint32_t count = 0;
  size_t crc_room, entry_room = 0;
  int32_t fd = take_int32(&args);
  napi_value list = take_value(&args);
  int64_t position = take_int64(&args);
  uint32_t *crc = take_array(&args, napi_uint32_array, &crc_room);
  bool counts = next_type(&args) != napi_undefined;
  uint32_t *entries = counts ? take_array(&args, napi_uint32_array, &entry_room) : NULL;
  if (args.failed) return NULL;
  if (napi_get_array_length(env, list, &count) != napi_ok) {
    napi_throw_type_error(env, NULL, "logboom addon: expected an array of pieces");
    return NULL;
  }
  if (count > sizeof pieces / sizeof *pieces || crc_room == 0 || (counts && entry_room < count)) {
    return throw_system_error(env, "write", EINVAL);
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_value piece;
    if (napi_get_element(env, list, i, &piece) != napi_ok) return throw_internal_error(env, "cannot read the pieces");
    byte_view bytes = bytes_of(&args, piece);
    if (args.failed) return NULL;
    pieces[i] = (struct iovec){bytes.data, bytes.length};
  }
  uint32_t after = *crc;
  int64_t written = hashed_write(fd, pieces, (int)count, position, &after, entries);
  if (written < 0) return throw_system_error(env, "write", (int)-written);
  *crc = after;
  return give_number(env, (double)written);
}

// writeSynced(fd, data, start, end, position): number
static napi_value write_synced(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  int32_t fd = take_int32(&args);
  byte_view bytes = take_part(&args);
  int64_t position = take_int64(&args);
  if (args.failed) return NULL;
  int64_t written = platform_write_synced(fd, bytes.data, bytes.length, position);
  if (written < 0) return throw_system_error(env, "write", (int)-written);
  return give_number(env, (double)written);
}

// directAlignment(fd): number
static napi_value direct_alignment(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  int32_t fd = take_int32(&args);
  if (args.failed) return NULL;
  int result = platform_direct_alignment(fd);
  if (result < 0 && result != -EOPNOTSUPP) return throw_system_error(env, "statx", -result);
  return give_number(env, result < 0 ? -1 : result);
}

// preallocate(fd, offset, length): boolean
static napi_value preallocate(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 3);
  int32_t fd = take_int32(&args);
  int64_t offset = take_int64(&args);
  int64_t length = take_int64(&args);
  if (args.failed) return NULL;
  int result = platform_preallocate(fd, offset, length);
  if (result < 0 && result != -EOPNOTSUPP) return throw_system_error(env, "fallocate", -result);
  return give_bool(env, result == 0);
}

// fallocate(fd, offset, length)
static napi_value fallocate_blocks(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 3);
  int32_t fd = take_int32(&args);
  int64_t offset = take_int64(&args);
  int64_t length = take_int64(&args);
  if (args.failed) return NULL;
  int result = platform_fallocate(fd, offset, length);
  return result < 0 ? throw_system_error(env, "fallocate", -result) : NULL;
}
#endif

const binding file_bindings[] = {
    {"lock", lock},
    {"unlock", unlock},
    {"renameNoReplace", rename_no_replace},
    {"stat", ONLY_POSIX(stat_file)},
    {"writevHashed", ONLY_POSIX(writev_hashed)},
    {"writeSynced", ONLY_POSIX(write_synced)},
    {"directAlignment", ONLY_POSIX(direct_alignment)},
    {"preallocate", ONLY_POSIX(preallocate)},
    {"fallocate", ONLY_POSIX(fallocate_blocks)},
    {NULL, NULL},
};
