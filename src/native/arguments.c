#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "error-names.h"

static void *refuse(arguments *args, const char *message) {
  // One exception at a time: the first is the one that explains the others.
  if (!args->failed) napi_throw_type_error(args->env, NULL, message);
  args->failed = true;
  return NULL;
}

arguments arguments_of(napi_env env, napi_callback_info info, size_t count) {
  arguments args = {.env = env, .count = count};
  size_t given = count;
  if (count > MOST_ARGUMENTS || napi_get_cb_info(env, info, &given, args.values, NULL, NULL) != napi_ok ||
      given < count) {
    refuse(&args, "logboom addon: missing argument");
  }
  return args;
}

static napi_value next_value(arguments *args) {
  if (args->failed) return NULL;
  if (args->next == args->count) return refuse(args, "logboom addon: more arguments taken than asked for");
  return args->values[args->next++];
}

// `read` is one of napi_get_value_…: they all have this shape.
#define TAKE(type, read)                                                                   \
  type value = 0;                                                                          \
  napi_value argument = next_value(args);                                                  \
  if (argument == NULL || read(args->env, argument, &value) == napi_ok) return value;      \
  refuse(args, "logboom addon: wrong argument type");                                      \
  return 0;

int32_t take_int32(arguments *args) { TAKE(int32_t, napi_get_value_int32) }
uint32_t take_uint32(arguments *args) { TAKE(uint32_t, napi_get_value_uint32) }
int64_t take_int64(arguments *args) { TAKE(int64_t, napi_get_value_int64) }
double take_double(arguments *args) { TAKE(double, napi_get_value_double) }
bool take_bool(arguments *args) { TAKE(bool, napi_get_value_bool) }

napi_valuetype next_type(arguments *args) {
  napi_valuetype type = napi_undefined;
  napi_value argument = next_value(args);
  if (argument == NULL) return type;
  args->next--;
  if (napi_typeof(args->env, argument, &type) != napi_ok) refuse(args, "logboom addon: wrong argument type");
  return type;
}

napi_value take_value(arguments *args) { return next_value(args); }

napi_value take_function(arguments *args) {
  if (next_type(args) == napi_function) return next_value(args);
  return refuse(args, "logboom addon: expected a function");
}

void take_path(arguments *args, const char *call, char path[PLATFORM_PATH_ROOM]) {
  size_t length = 0;
  napi_value argument = next_value(args);
  path[0] = '\0';
  if (argument == NULL) return;
  if (napi_get_value_string_utf8(args->env, argument, path, PLATFORM_PATH_ROOM, &length) != napi_ok) {
    refuse(args, "logboom addon: expected a path");
    return;
  }
  // A text that fills the room was cut, and one with a NUL would name another file to the kernel.
  int error = length == PLATFORM_PATH_ROOM - 1 ? ENAMETOOLONG : strlen(path) != length ? EINVAL : 0;
  if (error == 0) return;
  throw_system_error(args->env, call, error);
  args->failed = true;
}

static void *array_of(arguments *args, napi_value array, napi_typedarray_type wanted, size_t *length) {
  napi_typedarray_type type;
  void *items = NULL;
  *length = 0;
  if (array == NULL) return NULL;
  if (napi_get_typedarray_info(args->env, array, &type, length, &items, NULL, NULL) == napi_ok && type == wanted) {
    return items;
  }
  *length = 0;
  return refuse(args, "logboom addon: wrong kind of array");
}

void *take_array(arguments *args, napi_typedarray_type type, size_t *length) {
  return array_of(args, next_value(args), type, length);
}

byte_view bytes_of(arguments *args, napi_value array) {
  byte_view view = {NULL, 0, 0};
  view.data = array_of(args, array, napi_uint8_array, &view.length);
  return view;
}

byte_view take_bytes(arguments *args) { return bytes_of(args, next_value(args)); }

// By pointer: passing a view by value costs as much as taking one of its numbers.
static byte_view part(arguments *args, const byte_view *whole, int64_t start, int64_t end) {
  byte_view view = {NULL, 0, 0};
  if (args->failed) return view;
  if (start < 0 || end < start || (uint64_t)end > whole->length) {
    args->failed = true;
    throw_range_error(args->env, "range outside the array");
    return view;
  }
  // Of an empty array there may be no address, to which nothing can be added.
  view.data = start == 0 ? whole->data : whole->data + start;
  view.length = (size_t)(end - start);
  view.start = (size_t)start;
  return view;
}

byte_view take_range(arguments *args, const byte_view *whole) {
  int64_t start = take_int64(args);
  int64_t end = take_int64(args);
  return part(args, whole, start, end);
}

byte_view take_part(arguments *args) {
  byte_view whole = take_bytes(args);
  return take_range(args, &whole);
}

byte_view take_rest(arguments *args) {
  byte_view whole = take_bytes(args);
  int64_t at = take_int64(args);
  return part(args, &whole, at, (int64_t)whole.length);
}

napi_value give_number(napi_env env, double number) {
  napi_value result;
  if (napi_create_double(env, number, &result) == napi_ok) return result;
  return throw_internal_error(env, "cannot make a number");
}

napi_value give_bool(napi_env env, bool value) {
  napi_value result;
  if (napi_get_boolean(env, value, &result) == napi_ok) return result;
  return throw_internal_error(env, "cannot make a boolean");
}

napi_value system_error(napi_env env, const char *call, int error) {
  napi_value code, message, object;
  char name[ERROR_NAME_ROOM], text[PLATFORM_PATH_ROOM + 192];
  error_name(error, name);
  snprintf(text, sizeof text, "%s: %s, %s", name, error_text(error), call);
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) == napi_ok &&
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_error(env, code, message, &object) == napi_ok) {
    return object;
  }
  return NULL;
}

// Where even the error cannot be made, an exception is pending or the environment ends: there is nobody to tell.
napi_value throw_system_error(napi_env env, const char *call, int error) {
  napi_value object = system_error(env, call, error);
  if (object != NULL) (void)napi_throw(env, object);
  return NULL;
}

napi_value throw_range_error(napi_env env, const char *message) {
  char text[128];
  snprintf(text, sizeof text, "logboom addon: %s", message);
  napi_throw_range_error(env, NULL, text);
  return NULL;
}

napi_value throw_internal_error(napi_env env, const char *message) {
  char text[128];
  snprintf(text, sizeof text, "logboom addon: %s", message);
  napi_throw_error(env, NULL, text);
  return NULL;
}
