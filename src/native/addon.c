// The native addon: what Node lacks for log files shared by processes. Argument checks and the boundary to
// JavaScript are here; system calls are in the file of each operating system, behind platform.h.
#define NAPI_VERSION 8
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <node_api.h>

#include "checksum.h"
#include "framing.h"
#include "hashed-write.h"
#include "json.h"
#include "platform.h"
#include "publish.h"
#include "wal-scan.h"

#define ARGUMENTS(count)                                                     \
  napi_value argv[count];                                                    \
  size_t argc = count;                                                       \
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok ||     \
      argc < count) {                                                        \
    napi_throw_type_error(env, NULL, "logboom addon: missing argument");     \
    return NULL;                                                             \
  }

#define CHECK(call)                                                          \
  if ((call) != napi_ok) {                                                   \
    napi_throw_type_error(env, NULL, "logboom addon: wrong argument type");  \
    return NULL;                                                             \
  }

// A publication asked for by JavaScript, which knows it by its number.
typedef struct publish_task {
  struct publish_task *next;
  uint32_t number;
  publication *work;
  napi_ref data;
  napi_ref done;
  bool settled;
} publish_task;

// What one environment (the main thread or a worker) has.
typedef struct {
  napi_env env;
  // Descriptors to close when the environment ends. Terminating a worker thread runs no JavaScript and closes no
  // descriptor, so a lock it held would outlive it until the whole process dies.
  int *fds;
  size_t length;
  size_t capacity;
  // Started when it is needed first; `published` brings what it has done back to the thread that asked.
  publisher *publisher;
  napi_threadsafe_function published;
  publish_task *tasks;
  uint32_t last_task;
} addon_state;

static void release_state(void *data) {
  addon_state *state = data;
  for (size_t i = 0; i < state->length; i++) close(state->fds[i]);
  free(state->fds);
  free(state);
}

static napi_value throw_system_error(napi_env env, const char *call, int error) {
  napi_value code, message, object;
  const char *name = platform_error_name(error);
  char text[PATH_MAX + 128];
  snprintf(text, sizeof text, "%s: %s, %s", name, strerror(error), call);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  if (napi_create_error(env, code, message, &object) == napi_ok) napi_throw(env, object);
  return NULL;
}

// lock(fd, slot, waitMs): boolean; slot -1 is the whole file. Blocks this thread only; the caller keeps waitMs short.
static napi_value lock(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  int32_t fd;
  int64_t slot;
  double wait_ms;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  CHECK(napi_get_value_int64(env, argv[1], &slot))
  CHECK(napi_get_value_double(env, argv[2], &wait_ms))
  int result = platform_lock(fd, slot, (int64_t)(wait_ms * 1000));
  if (result < 0) return throw_system_error(env, "lock", -result);
  napi_value held;
  napi_get_boolean(env, result == 1, &held);
  return held;
}

// unlock(fd, slot)
static napi_value unlock(napi_env env, napi_callback_info info) {
  ARGUMENTS(2)
  int32_t fd;
  int64_t slot;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  CHECK(napi_get_value_int64(env, argv[1], &slot))
  int result = platform_unlock(fd, slot);
  if (result < 0) return throw_system_error(env, "unlock", -result);
  return NULL;
}

// closeAtExit(fd)
static napi_value close_at_exit(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  int32_t fd;
  addon_state *state;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  CHECK(napi_get_instance_data(env, (void **)&state))
  if (state->length == state->capacity) {
    size_t capacity = state->capacity == 0 ? 16 : state->capacity * 2;
    int *fds = realloc(state->fds, capacity * sizeof *fds);
    if (fds == NULL) return throw_system_error(env, "closeAtExit", ENOMEM);
    state->fds = fds;
    state->capacity = capacity;
  }
  state->fds[state->length++] = fd;
  return NULL;
}

// forget(fd)
static napi_value forget(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  int32_t fd;
  addon_state *state;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  CHECK(napi_get_instance_data(env, (void **)&state))
  for (size_t i = 0; i < state->length; i++) {
    if (state->fds[i] == fd) {
      state->fds[i] = state->fds[--state->length];
      break;
    }
  }
  return NULL;
}

static bool get_typed(napi_env env, napi_value array, napi_typedarray_type wanted, void **items,
                      size_t *length) {
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, array, &type, length, items, NULL, NULL) == napi_ok && type == wanted) {
    return true;
  }
  napi_throw_type_error(env, NULL, "logboom addon: wrong kind of array");
  return false;
}

static char *get_path(napi_env env, napi_value value) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *path = malloc(length + 1);
  if (path != NULL) napi_get_value_string_utf8(env, value, path, length + 1, &length);
  return path;
}

static void free_task(publish_task *task) {
  publication_free(task->work);
  free(task);
}

static void add_task(napi_env env, addon_state *state, publish_task *task) {
  // A process that has nothing else to do waits for its files.
  if (state->tasks == NULL) napi_ref_threadsafe_function(env, state->published);
  task->number = ++state->last_task;
  task->next = state->tasks;
  state->tasks = task;
}

static void release_values(napi_env env, publish_task *task) {
  if (task->done != NULL) napi_delete_reference(env, task->done);
  if (task->data != NULL) napi_delete_reference(env, task->data);
  task->done = task->data = NULL;
}

static void end_task(napi_env env, addon_state *state, publish_task *task) {
  publish_task **place = &state->tasks;
  while (*place != task) place = &(*place)->next;
  *place = task->next;
  if (state->tasks == NULL) napi_unref_threadsafe_function(env, state->published);
  release_values(env, task);
  free_task(task);
}

static void tell_published(void *context, void *owner) {
  napi_call_threadsafe_function(((addon_state *)context)->published, owner, napi_tsfn_nonblocking);
}

static void call_done(napi_env env, napi_value callback, void *context, void *data) {
  (void)callback;
  publish_task *task = data;
  napi_value receiver, done, succeeded;
  // Without an environment the thread is ending and nobody is there to be told.
  if (env == NULL) {
    free_task(task);
    return;
  }
  bool told = task->settled || napi_get_reference_value(env, task->done, &done) != napi_ok;
  napi_get_boolean(env, publication_succeeded(task->work), &succeeded);
  napi_get_undefined(env, &receiver);
  end_task(env, context, task);
  if (!told) napi_call_function(env, receiver, done, 1, &succeeded, NULL);
}

static void stop_publisher(void *data) {
  addon_state *state = data;
  for (publish_task **place = &state->tasks; *place != NULL;) {
    publish_task *task = *place;
    if (publisher_settle(state->publisher, task->work, false) == NEVER_BEGINS) {
      *place = task->next;
      release_values(state->env, task);
      free_task(task);
    } else {
      // It comes back through `call_done`.
      place = &task->next;
    }
  }
  publisher_stop(state->publisher);
  for (publish_task *task = state->tasks; task != NULL; task = task->next) release_values(state->env, task);
}

static bool start_publisher(napi_env env, addon_state *state) {
  napi_value name;
  if (state->publisher != NULL) return true;
  if (state->published == NULL &&
      (napi_create_string_utf8(env, "logboom.publishFile", NAPI_AUTO_LENGTH, &name) != napi_ok ||
       napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, state, call_done,
                                       &state->published) != napi_ok ||
       napi_unref_threadsafe_function(env, state->published) != napi_ok)) {
    return false;
  }
  state->publisher = publisher_start(tell_published, state);
  if (state->publisher == NULL) return false;
  // Hooks run in reverse order, so the thread ends before what it calls.
  if (napi_add_env_cleanup_hook(env, stop_publisher, state) == napi_ok) return true;
  publisher_stop(state->publisher);
  state->publisher = NULL;
  return false;
}

// publishFile(temp, target, mode, data, length, done: (published: boolean) => void): number of the publication
static napi_value publish_file(napi_env env, napi_callback_info info) {
  ARGUMENTS(6)
  uint32_t mode;
  int64_t length;
  size_t room;
  void *bytes;
  napi_valuetype kind;
  addon_state *state;
  CHECK(napi_get_value_uint32(env, argv[2], &mode))
  if (!get_typed(env, argv[3], napi_uint8_array, &bytes, &room)) return NULL;
  CHECK(napi_get_value_int64(env, argv[4], &length))
  CHECK(napi_typeof(env, argv[5], &kind))
  CHECK(napi_get_instance_data(env, (void **)&state))
  if (length < 0 || (uint64_t)length > room || kind != napi_function) {
    return throw_system_error(env, "publishFile", EINVAL);
  }
  char *temp = get_path(env, argv[0]);
  char *target = get_path(env, argv[1]);
  napi_value number = NULL;
  publish_task *task = NULL;
  if (temp != NULL && target != NULL && start_publisher(env, state)) task = calloc(1, sizeof *task);
  if (task != NULL) {
    add_task(env, state, task);
    if (napi_create_reference(env, argv[3], 1, &task->data) == napi_ok &&
        napi_create_reference(env, argv[5], 1, &task->done) == napi_ok &&
        napi_create_uint32(env, task->number, &number) == napi_ok) {
      task->work = publisher_add(state->publisher, temp, target, mode, bytes, (size_t)length, task);
    }
  }
  free(temp);
  free(target);
  if (task != NULL && task->work != NULL) return number;
  if (task != NULL) end_task(env, state, task);
  return throw_system_error(env, "publishFile", ENOMEM);
}

// settlePublication(number, wait): boolean, or undefined while it is under way; once for each that `done` was not called for
static napi_value settle_publication(napi_env env, napi_callback_info info) {
  ARGUMENTS(2)
  uint32_t number;
  bool wait;
  addon_state *state;
  CHECK(napi_get_value_uint32(env, argv[0], &number))
  CHECK(napi_get_value_bool(env, argv[1], &wait))
  CHECK(napi_get_instance_data(env, (void **)&state))
  publish_task *task = state->tasks;
  while (task != NULL && task->number != number) task = task->next;
  if (task == NULL || task->settled) return throw_system_error(env, "settlePublication", EINVAL);
  enum settlement settlement = publisher_settle(state->publisher, task->work, wait);
  if (settlement == IS_RUNNING) return NULL;
  task->settled = true;
  napi_value succeeded;
  napi_get_boolean(env, publication_succeeded(task->work), &succeeded);
  if (settlement == NEVER_BEGINS) end_task(env, state, task);
  return succeeded;
}

// renameNoReplace(from, to)
static napi_value rename_no_replace(napi_env env, napi_callback_info info) {
  ARGUMENTS(2)
  char *from = get_path(env, argv[0]);
  char *to = get_path(env, argv[1]);
  int result = from == NULL || to == NULL ? -EINVAL : platform_rename_no_replace(from, to);
  free(from);
  free(to);
  if (result < 0) return throw_system_error(env, "rename", -result);
  return NULL;
}

// stat(pathOrFd, follow, fields: BigInt64Array): boolean; false if nothing is there. Paths of usual length take no
// memory from the heap.
static napi_value stat_file(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  napi_valuetype kind;
  bool follow;
  size_t length;
  void *fields;
  int result;
  CHECK(napi_get_value_bool(env, argv[1], &follow))
  if (!get_typed(env, argv[2], napi_bigint64_array, &fields, &length)) return NULL;
  if (length < PLATFORM_STAT_FIELDS) return throw_system_error(env, "stat", EINVAL);
  CHECK(napi_typeof(env, argv[0], &kind))
  if (kind == napi_number) {
    int32_t fd;
    CHECK(napi_get_value_int32(env, argv[0], &fd))
    result = platform_stat(fd, NULL, 0, fields);
    if (result < 0) return throw_system_error(env, "fstat", -result);
  } else {
    char path[PATH_MAX];
    CHECK(napi_get_value_string_utf8(env, argv[0], path, sizeof path, &length))
    result = length == sizeof path - 1    ? -ENAMETOOLONG
             : strlen(path) != length     ? -EINVAL
                                          : platform_stat(-1, path, follow, fields);
    if (result < 0 && result != -ENOENT) {
      char call[PATH_MAX + 16];
      snprintf(call, sizeof call, "stat '%s'", path);
      return throw_system_error(env, call, -result);
    }
  }
  napi_value found;
  napi_get_boolean(env, result == 0, &found);
  return found;
}

// The bytes of a Uint8Array or Buffer, with 0 <= start <= end <= length checked.
static bool get_bytes(napi_env env, napi_value array, napi_value from, napi_value to, const uint8_t **bytes,
                      size_t *length) {
  size_t total;
  void *data;
  int64_t start, end;
  if (!get_typed(env, array, napi_uint8_array, &data, &total)) return false;
  if (napi_get_value_int64(env, from, &start) != napi_ok || napi_get_value_int64(env, to, &end) != napi_ok) {
    napi_throw_type_error(env, NULL, "logboom addon: expected (Uint8Array, start, end)");
    return false;
  }
  if (start < 0 || end < start || (uint64_t)end > total) {
    napi_throw_range_error(env, NULL, "logboom addon: range outside the array");
    return false;
  }
  *bytes = (const uint8_t *)data + start;
  *length = (size_t)(end - start);
  return true;
}

// crc32c(data, seed, start, end): number
static napi_value crc32c(napi_env env, napi_callback_info info) {
  ARGUMENTS(4)
  uint32_t seed;
  const uint8_t *bytes;
  size_t length;
  CHECK(napi_get_value_uint32(env, argv[1], &seed))
  if (!get_bytes(env, argv[0], argv[2], argv[3], &bytes, &length)) return NULL;
  napi_value result;
  napi_create_uint32(env, checksum_crc32c(seed, bytes, length), &result);
  return result;
}

// writevHashed(fd, pieces: Uint8Array[], position, crc: Uint32Array, entries?: Uint32Array): number
static napi_value writev_hashed(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  int32_t fd;
  int64_t position;
  uint32_t count;
  size_t room;
  void *crc, *entries = NULL;
  napi_valuetype type;
  struct iovec pieces[1024];
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  CHECK(napi_get_array_length(env, argv[1], &count))
  CHECK(napi_get_value_int64(env, argv[2], &position))
  if (!get_typed(env, argv[3], napi_uint32_array, &crc, &room)) return NULL;
  if (count > sizeof pieces / sizeof *pieces || room == 0) return throw_system_error(env, "write", EINVAL);
  CHECK(napi_typeof(env, argv[4], &type))
  if (type != napi_undefined) {
    if (!get_typed(env, argv[4], napi_uint32_array, &entries, &room)) return NULL;
    if (room < count) return throw_system_error(env, "write", EINVAL);
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_value piece;
    CHECK(napi_get_element(env, argv[1], i, &piece))
    if (!get_typed(env, piece, napi_uint8_array, &pieces[i].iov_base, &pieces[i].iov_len)) return NULL;
  }
  uint32_t after = *(uint32_t *)crc;
  int64_t written = hashed_write(fd, pieces, (int)count, position, &after, entries);
  if (written < 0) return throw_system_error(env, "write", (int)-written);
  *(uint32_t *)crc = after;
  napi_value result;
  napi_create_int64(env, written, &result);
  return result;
}

// writeSynced(fd, data, start, end, position): number
static napi_value write_synced(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  int32_t fd;
  const uint8_t *bytes;
  size_t length;
  int64_t position;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  if (!get_bytes(env, argv[1], argv[2], argv[3], &bytes, &length)) return NULL;
  CHECK(napi_get_value_int64(env, argv[4], &position))
  int64_t written = platform_write_synced(fd, bytes, length, position);
  if (written < 0) return throw_system_error(env, "write", (int)-written);
  napi_value result;
  napi_create_int64(env, written, &result);
  return result;
}

// copy(source, start, end, target, at)
static napi_value copy_bytes(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  const uint8_t *bytes;
  size_t length, room;
  void *target;
  int64_t at;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  if (!get_typed(env, argv[3], napi_uint8_array, &target, &room)) return NULL;
  CHECK(napi_get_value_int64(env, argv[4], &at))
  if (at < 0 || (uint64_t)at > room || length > room - (size_t)at) {
    napi_throw_range_error(env, NULL, "logboom addon: range outside the array");
    return NULL;
  }
  memcpy((uint8_t *)target + at, bytes, length);
  return NULL;
}

// countLines(data, start, end): number
static napi_value count_lines(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  const uint8_t *bytes;
  size_t length;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  // Counted in blocks of 255 so that the inner loop sums bytes, which compilers turn into vector code.
  int64_t lines = 0;
  for (size_t at = 0; at < length;) {
    size_t stop = length - at > 255 ? at + 255 : length;
    uint8_t block = 0;
    for (; at < stop; at++) block += bytes[at] == '\n';
    lines += block;
  }
  napi_value result;
  napi_create_int64(env, lines, &result);
  return result;
}

// walScan(data, start, end, seed, rows): number of rows filled
static napi_value wal_scan_rows(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  uint32_t seed;
  const uint8_t *bytes;
  size_t length, total;
  int64_t start;
  void *rows;
  CHECK(napi_get_value_int64(env, argv[1], &start))
  CHECK(napi_get_value_uint32(env, argv[3], &seed))
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  if (!get_typed(env, argv[4], napi_uint32_array, &rows, &total)) return NULL;
  size_t count = wal_scan(bytes - start, (size_t)start, (size_t)start + length, seed, rows, total / WAL_ROW);
  napi_value result;
  napi_create_int64(env, (int64_t)count, &result);
  return result;
}

// walSeal(data, start, end, crc: Uint32Array): the new end; the last checksum replaces crc[0]
static napi_value wal_seal_frames(napi_env env, napi_callback_info info) {
  ARGUMENTS(4)
  const uint8_t *bytes;
  size_t length, total;
  int64_t start;
  void *crc;
  CHECK(napi_get_value_int64(env, argv[1], &start))
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  if (!get_typed(env, argv[3], napi_uint32_array, &crc, &total)) return NULL;
  if (total == 0) return throw_system_error(env, "walSeal", EINVAL);
  size_t end = wal_seal((uint8_t *)bytes - start, (size_t)start, (size_t)start + length, crc);
  napi_value result;
  napi_create_int64(env, (int64_t)end, &result);
  return result;
}

// fallocate(fd, offset, length): reserves blocks and extends the file; the new bytes read as zeros.
static napi_value fallocate_blocks(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  int32_t fd;
  int64_t offset, length;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  CHECK(napi_get_value_int64(env, argv[1], &offset))
  CHECK(napi_get_value_int64(env, argv[2], &length))
  int result = platform_fallocate(fd, offset, length);
  if (result < 0) return throw_system_error(env, "fallocate", -result);
  return NULL;
}

// directAlignment(fd): number
static napi_value direct_alignment(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  int32_t fd;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  int result = platform_direct_alignment(fd);
  if (result < 0 && result != -EOPNOTSUPP) return throw_system_error(env, "statx", -result);
  napi_value alignment;
  napi_create_int32(env, result < 0 ? -1 : result, &alignment);
  return alignment;
}

// preallocate(fd, offset, length): boolean
static napi_value preallocate(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  int32_t fd;
  int64_t offset, length;
  CHECK(napi_get_value_int32(env, argv[0], &fd))
  CHECK(napi_get_value_int64(env, argv[1], &offset))
  CHECK(napi_get_value_int64(env, argv[2], &length))
  int result = platform_preallocate(fd, offset, length);
  if (result < 0 && result != -EOPNOTSUPP) return throw_system_error(env, "fallocate", -result);
  napi_value done;
  napi_get_boolean(env, result == 0, &done);
  return done;
}

// hugePages(data): boolean
static napi_value huge_pages(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  void *data;
  size_t length;
  if (!get_typed(env, argv[0], napi_uint8_array, &data, &length)) return NULL;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t start = ((uintptr_t)data + page - 1) / page * page, end = ((uintptr_t)data + length) / page * page;
  napi_value done;
  napi_get_boolean(env, start < end && platform_huge_pages((void *)start, end - start) == 0, &done);
  return done;
}

// frameLines(source, start, end, target, at): number. The caller made sure that the target has room.
static napi_value frame_lines(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  const uint8_t *bytes;
  size_t length, room;
  void *target;
  int64_t at;
  napi_typedarray_type type;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  CHECK(napi_get_typedarray_info(env, argv[3], &type, &room, &target, NULL, NULL))
  CHECK(napi_get_value_int64(env, argv[4], &at))
  if (type != napi_uint8_array || at < 0 || (uint64_t)at > room) {
    napi_throw_range_error(env, NULL, "logboom addon: range outside the array");
    return NULL;
  }
  napi_value written;
  napi_create_int64(env, (int64_t)framing_lines(bytes, length, (uint8_t *)target + at), &written);
  return written;
}

// countEntries(data, start, end): number
static napi_value count_entries(napi_env env, napi_callback_info info) {
  ARGUMENTS(3)
  const uint8_t *bytes;
  size_t length;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  napi_value count;
  napi_create_int64(env, framing_count(bytes, length), &count);
  return count;
}

static bool get_int32_array(napi_env env, napi_value array, int32_t **items, size_t *length) {
  return get_typed(env, array, napi_int32_array, (void **)items, length);
}

// entryBounds(data, start, end, bounds: Int32Array): number
static napi_value entry_bounds(napi_env env, napi_callback_info info) {
  ARGUMENTS(4)
  const uint8_t *bytes;
  size_t length, room;
  int32_t *bounds;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  if (!get_int32_array(env, argv[3], &bounds, &room)) return NULL;
  napi_value count;
  napi_create_int64(env, (int64_t)framing_bounds(bytes, length, bounds, room / 2), &count);
  return count;
}

static napi_value check_entries(napi_env env, int result) {
  if (result != 0) napi_throw_range_error(env, NULL, "logboom addon: entries are not whole");
  return NULL;
}

// tallyTags(data, start, end, sizes: Uint32Array, counts: Uint32Array)
static napi_value tally_tags(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  const uint8_t *bytes;
  size_t length, size_count, count_count;
  void *sizes, *counts;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  if (!get_typed(env, argv[3], napi_uint32_array, &sizes, &size_count)) return NULL;
  if (!get_typed(env, argv[4], napi_uint32_array, &counts, &count_count)) return NULL;
  size_t tags = size_count < count_count ? size_count : count_count;
  return check_entries(env, framing_tally(bytes, length, sizes, counts, tags));
}

// scatterTags(data, start, end, target, places: Float64Array)
static napi_value scatter_tags(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  const uint8_t *bytes;
  size_t length, room, tags;
  void *target, *places;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  if (!get_typed(env, argv[3], napi_uint8_array, &target, &room)) return NULL;
  if (!get_typed(env, argv[4], napi_float64_array, &places, &tags)) return NULL;
  return check_entries(env, framing_scatter(bytes, length, target, room, places, tags));
}

// scanLines(data, start, end, key, out: Int32Array): number
static napi_value scan_lines(napi_env env, napi_callback_info info) {
  ARGUMENTS(5)
  const uint8_t *bytes;
  size_t length, key_length, room;
  void *key;
  int32_t *out;
  int64_t start;
  napi_typedarray_type type;
  if (!get_bytes(env, argv[0], argv[1], argv[2], &bytes, &length)) return NULL;
  CHECK(napi_get_value_int64(env, argv[1], &start))
  CHECK(napi_get_typedarray_info(env, argv[3], &type, &key_length, &key, NULL, NULL))
  if (!get_int32_array(env, argv[4], &out, &room)) return NULL;
  size_t at = 0, lines = 0;
  while (at < length && lines < room / 3) {
    const uint8_t *stop = memchr(bytes + at, '\n', length - at);
    size_t line = (size_t)((stop == NULL ? bytes + length : stop) - (bytes + at));
    size_t from = 0, to = 0;
    enum json_value value = json_find_string(bytes + at, line, key, key_length, &from, &to);
    int32_t origin = (int32_t)start + (int32_t)at;
    out[3 * lines + 1] = value == JSON_STRING    ? origin + (int32_t)from
                         : value == JSON_ESCAPED ? -(origin + (int32_t)from)
                                                 : 0;
    out[3 * lines + 2] = value == JSON_NO_STRING ? 0 : value == JSON_TOO_DEEP ? -1 : origin + (int32_t)to;
    at += line + (stop == NULL ? 0 : 1);
    out[3 * lines] = (int32_t)start + (int32_t)at;
    lines++;
  }
  napi_value count;
  napi_create_int64(env, (int64_t)lines, &count);
  return count;
}

// A word of shared memory to be changed when this environment ends, and what keeps that memory alive.
typedef struct {
  int32_t *word;
  int32_t expected;
  int32_t replacement;
  napi_ref array;
} exit_store;

static void run_exit_store(void *data) {
  exit_store *store = data;
  __atomic_compare_exchange_n(store->word, &store->expected, store->replacement, false, __ATOMIC_SEQ_CST,
                              __ATOMIC_SEQ_CST);
  free(store);
}

// replaceAtExit(words: Int32Array, index, expected, replacement): handle
static napi_value replace_at_exit(napi_env env, napi_callback_info info) {
  ARGUMENTS(4)
  int32_t *words, expected, replacement;
  size_t length;
  int64_t index;
  if (!get_int32_array(env, argv[0], &words, &length)) return NULL;
  CHECK(napi_get_value_int64(env, argv[1], &index))
  CHECK(napi_get_value_int32(env, argv[2], &expected))
  CHECK(napi_get_value_int32(env, argv[3], &replacement))
  exit_store *store = index < 0 || (uint64_t)index >= length ? NULL : malloc(sizeof *store);
  if (store == NULL) return throw_system_error(env, "replaceAtExit", EINVAL);
  *store = (exit_store){words + index, expected, replacement, NULL};
  napi_value handle;
  if (napi_create_reference(env, argv[0], 1, &store->array) != napi_ok ||
      napi_create_external(env, store, NULL, NULL, &handle) != napi_ok ||
      napi_add_env_cleanup_hook(env, run_exit_store, store) != napi_ok) {
    free(store);
    napi_throw_error(env, NULL, "logboom addon: cannot register");
    return NULL;
  }
  return handle;
}

// cancelReplace(handle), once
static napi_value cancel_replace(napi_env env, napi_callback_info info) {
  ARGUMENTS(1)
  void *store;
  CHECK(napi_get_value_external(env, argv[0], &store))
  napi_remove_env_cleanup_hook(env, run_exit_store, store);
  napi_delete_reference(env, ((exit_store *)store)->array);
  free(store);
  return NULL;
}

NAPI_MODULE_INIT() {
  addon_state *state = calloc(1, sizeof *state);
  if (state == NULL || napi_set_instance_data(env, state, NULL, NULL) != napi_ok ||
      napi_add_env_cleanup_hook(env, release_state, state) != napi_ok) {
    napi_throw_error(env, NULL, "logboom addon: cannot initialise");
    return NULL;
  }
  state->env = env;
  checksum_init();
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"lock", lock},
      {"unlock", unlock},
      {"closeAtExit", close_at_exit},
      {"forget", forget},
      {"renameNoReplace", rename_no_replace},
      {"publishFile", publish_file},
      {"settlePublication", settle_publication},
      {"stat", stat_file},
      {"crc32c", crc32c},
      {"writevHashed", writev_hashed},
      {"writeSynced", write_synced},
      {"copy", copy_bytes},
      {"countLines", count_lines},
      {"directAlignment", direct_alignment},
      {"preallocate", preallocate},
      {"hugePages", huge_pages},
      {"frameLines", frame_lines},
      {"countEntries", count_entries},
      {"entryBounds", entry_bounds},
      {"scanLines", scan_lines},
      {"tallyTags", tally_tags},
      {"scatterTags", scatter_tags},
      {"replaceAtExit", replace_at_exit},
      {"cancelReplace", cancel_replace},
      {"walScan", wal_scan_rows},
      {"walSeal", wal_seal_frames},
      {"fallocate", fallocate_blocks},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL,
                             &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok) {
      return NULL;
    }
  }
  return exports;
}
