// Syncs and modes of open files, which Node's permission model refuses even where every file and the addon is allowed.
#include <errno.h>
#include <stdlib.h>

#include "bindings.h"
#include "platform.h"

// sync(fd, dataOnly)
static napi_value sync_file(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  int32_t fd = take_int32(&args);
  bool data_only = take_bool(&args);
  if (args.failed) return NULL;
  int result = platform_sync(fd, data_only);
  return result < 0 ? throw_system_error(env, data_only ? "fdatasync" : "fsync", -result) : NULL;
}

typedef struct {
  int32_t fd;
  bool data_only;
  int result;
  napi_async_work work;
  napi_deferred deferred;
} sync_request;

static void run_sync(napi_env env, void *data) {
  (void)env;
  sync_request *request = data;
  request->result = platform_sync(request->fd, request->data_only);
}

// Where the promise cannot be settled any more, the environment ends and nobody is there to be told.
static void end_sync(napi_env env, napi_status status, void *data) {
  sync_request *request = data;
  napi_value value;
  int error = status == napi_ok ? -request->result : ECANCELED;
  if (error == 0) {
    if (napi_get_undefined(env, &value) == napi_ok) (void)napi_resolve_deferred(env, request->deferred, value);
  } else {
    value = system_error(env, request->data_only ? "fdatasync" : "fsync", error);
    if (value != NULL) (void)napi_reject_deferred(env, request->deferred, value);
  }
  (void)napi_delete_async_work(env, request->work);
  free(request);
}

// syncAsync(fd, dataOnly): Promise<void>
static napi_value sync_file_async(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  int32_t fd = take_int32(&args);
  bool data_only = take_bool(&args);
  napi_value promise, name;
  if (args.failed) return NULL;
  sync_request *request = calloc(1, sizeof *request);
  if (request == NULL) return throw_system_error(env, "fsync", ENOMEM);
  request->fd = fd;
  request->data_only = data_only;
  if (napi_create_string_utf8(env, "logboom.sync", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, NULL, name, run_sync, end_sync, request, &request->work) == napi_ok) {
    if (napi_create_promise(env, &request->deferred, &promise) == napi_ok &&
        napi_queue_async_work(env, request->work) == napi_ok) {
      return promise;
    }
    (void)napi_delete_async_work(env, request->work);
  }
  free(request);
  return throw_system_error(env, "fsync", ENOMEM);
}

#ifndef _WIN32
// setMode(fd, mode)
static napi_value set_mode(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  int32_t fd = take_int32(&args);
  uint32_t mode = take_uint32(&args);
  if (args.failed) return NULL;
  int result = platform_set_mode(fd, mode);
  return result < 0 ? throw_system_error(env, "fchmod", -result) : NULL;
}
#endif

const binding sync_bindings[] = {
    {"sync", sync_file},
    {"syncAsync", sync_file_async},
    {"setMode", ONLY_POSIX(set_mode)},
    {NULL, NULL},
};
