// The one way a function of the addon takes its arguments from JavaScript and answers.
//
//   arguments args = arguments_of(env, info, 2);
//   int fd = take_int32(&args);
//   int64_t slot = take_int64(&args);
//   if (args.failed) return NULL;
//
// They are taken from left to right. The first that is not what it must be throws, and makes everything taken after
// it zero, empty or NULL, so one look at `failed` behind the last one is enough.
#ifndef LOGBOOM_ARGUMENTS_H
#define LOGBOOM_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAPI_VERSION 8
#include <node_api.h>

#include "platform.h"

#define MOST_ARGUMENTS 6

typedef struct {
  napi_env env;
  napi_value values[MOST_ARGUMENTS];
  size_t count;
  size_t next;
  bool failed;
} arguments;

// Bytes that belong to JavaScript: valid until the function returns.
typedef struct {
  uint8_t *data;
  size_t length;
  // Where in its array it begins.
  size_t start;
} byte_view;

arguments arguments_of(napi_env env, napi_callback_info info, size_t count);

int32_t take_int32(arguments *args);
uint32_t take_uint32(arguments *args);
int64_t take_int64(arguments *args);
double take_double(arguments *args);
bool take_bool(arguments *args);
napi_value take_function(arguments *args);
// What the next one is, which is not taken by this.
napi_valuetype next_type(arguments *args);
// The next one, whatever it is.
napi_value take_value(arguments *args);

// A path without NUL, shorter than PLATFORM_PATH_ROOM, as the kernel wants it. `call` is named in the error.
void take_path(arguments *args, const char *call, char path[PLATFORM_PATH_ROOM]);

// A typed array of exactly this type; `length` is the number of its elements.
void *take_array(arguments *args, napi_typedarray_type type, size_t *length);
// A Uint8Array or Buffer.
byte_view take_bytes(arguments *args);
// Two numbers, 0 <= start <= end <= length of `whole`: that part of it.
byte_view take_range(arguments *args, const byte_view *whole);
// An array and such a range of it.
byte_view take_part(arguments *args);
// An array and one number, 0 <= at <= its length: what begins there.
byte_view take_rest(arguments *args);

// Bytes of an array that is no argument of its own, with the same check as `take_bytes`.
byte_view bytes_of(arguments *args, napi_value array);

// The result of a function, NULL (and thrown) if it cannot be made.
napi_value give_number(napi_env env, double number);
napi_value give_bool(napi_env env, bool value);

// An error as Node makes it, NULL if it cannot be made.
napi_value system_error(napi_env env, const char *call, int error);

// Each throws and returns NULL.
napi_value throw_system_error(napi_env env, const char *call, int error);
napi_value throw_range_error(napi_env env, const char *message);
napi_value throw_internal_error(napi_env env, const char *message);

#endif
