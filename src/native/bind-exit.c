// What happens when an environment (a worker thread, the main thread) ends, however that happens.
#include <errno.h>
#include <stdlib.h>

#include "bindings.h"
#include "platform.h"

// closeAtExit(fd)
static napi_value close_at_exit(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  int32_t fd = take_int32(&args);
  environment *own = environment_of(&args);
  if (args.failed) return NULL;
  exit_list *list = &own->closed_at_exit;
  if (list->length == list->capacity) {
    size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
    int *fds = realloc(list->fds, capacity * sizeof *fds);
    if (fds == NULL) return throw_system_error(env, "closeAtExit", ENOMEM);
    list->fds = fds;
    list->capacity = capacity;
  }
  list->fds[list->length++] = fd;
  return NULL;
}

// forget(fd)
static napi_value forget(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  int32_t fd = take_int32(&args);
  environment *own = environment_of(&args);
  if (args.failed) return NULL;
  exit_list *list = &own->closed_at_exit;
  for (size_t i = 0; i < list->length; i++) {
    if (list->fds[i] == fd) {
      list->fds[i] = list->fds[--list->length];
      break;
    }
  }
  return NULL;
}

// Nobody is left to be told what comes of it.
void close_at_exit_now(exit_list *list) {
  for (size_t i = 0; i < list->length; i++) platform_close(list->fds[i]);
  free(list->fds);
  *list = (exit_list){NULL, 0, 0};
}

// A word of shared memory to be changed when this environment ends, and what keeps that memory alive. It lives until it
// is neither registered nor in the hands of JavaScript.
typedef struct {
  int32_t *word;
  int32_t expected;
  int32_t replacement;
  napi_ref array;
  bool is_registered;
  bool is_held;
} exit_store;

static void free_if_unused(exit_store *store) {
  if (!store->is_registered && !store->is_held) free(store);
}

static void run_exit_store(void *data) {
  exit_store *store = data;
  __atomic_compare_exchange_n(store->word, &store->expected, store->replacement, false, __ATOMIC_SEQ_CST,
                              __ATOMIC_SEQ_CST);
  store->is_registered = false;
  free_if_unused(store);
}

static void let_go(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  exit_store *store = data;
  store->is_held = false;
  free_if_unused(store);
}

// replaceAtExit(words: Int32Array, index, expected, replacement): handle
static napi_value replace_at_exit(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 4);
  size_t length;
  napi_value array = args.values[0], handle;
  int32_t *words = take_array(&args, napi_int32_array, &length);
  int64_t index = take_int64(&args);
  int32_t expected = take_int32(&args);
  int32_t replacement = take_int32(&args);
  if (args.failed) return NULL;
  if (index < 0 || (uint64_t)index >= length) return throw_system_error(env, "replaceAtExit", EINVAL);
  exit_store *store = malloc(sizeof *store);
  if (store == NULL) return throw_system_error(env, "replaceAtExit", ENOMEM);
  *store = (exit_store){.word = words + index, .expected = expected, .replacement = replacement};
  if (napi_create_reference(env, array, 1, &store->array) != napi_ok) {
    free(store);
    return throw_internal_error(env, "cannot keep the memory");
  }
  store->is_registered = napi_add_env_cleanup_hook(env, run_exit_store, store) == napi_ok;
  store->is_held = store->is_registered && napi_create_external(env, store, let_go, NULL, &handle) == napi_ok;
  if (store->is_held) return handle;
  if (store->is_registered) napi_remove_env_cleanup_hook(env, run_exit_store, store);
  napi_delete_reference(env, store->array);
  free(store);
  return throw_internal_error(env, "cannot register");
}

// cancelReplace(handle); a second time nothing happens
static napi_value cancel_replace(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  void *data = NULL;
  if (args.failed) return NULL;
  if (napi_get_value_external(env, take_value(&args), &data) != napi_ok) {
    napi_throw_type_error(env, NULL, "logboom addon: expected what replaceAtExit returned");
    return NULL;
  }
  exit_store *store = data;
  if (!store->is_registered) return NULL;
  if (napi_remove_env_cleanup_hook(env, run_exit_store, store) != napi_ok ||
      napi_delete_reference(env, store->array) != napi_ok) {
    return throw_internal_error(env, "cannot cancel");
  }
  store->is_registered = false;
  return NULL;
}

const binding exit_bindings[] = {
    {"closeAtExit", close_at_exit},
    {"forget", forget},
    {"replaceAtExit", replace_at_exit},
    {"cancelReplace", cancel_replace},
    {NULL, NULL},
};
