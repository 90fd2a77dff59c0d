// Publications in the background: what JavaScript asks of the thread of publish.c, and how it is told.
#include <errno.h>
#include <stdlib.h>

#include "bindings.h"

#ifndef _WIN32
#include "publish.h"

// A publication asked for by JavaScript, which knows it by its number.
struct publish_task {
  publish_task *next;
  uint32_t number;
  publication *work;
  napi_ref data;
  napi_ref done;
  bool settled;
};

static void free_task(publish_task *task) {
  publication_free(task->work);
  free(task);
}

static void add_task(environment *own, publish_task *task) {
  publishing *files = &own->files;
  // A process that has nothing else to do waits for its files. Where it could not be made to, it only may end early.
  if (files->tasks == NULL) (void)napi_ref_threadsafe_function(own->env, files->published);
  task->number = ++files->last_task;
  task->next = files->tasks;
  files->tasks = task;
}

// Where a value cannot be let go, the environment ends and takes it along.
static void release_values(napi_env env, publish_task *task) {
  if (task->done != NULL) (void)napi_delete_reference(env, task->done);
  if (task->data != NULL) (void)napi_delete_reference(env, task->data);
  task->done = task->data = NULL;
}

static void end_task(environment *own, publish_task *task) {
  publishing *files = &own->files;
  publish_task **place = &files->tasks;
  while (*place != task) place = &(*place)->next;
  *place = task->next;
  if (files->tasks == NULL) (void)napi_unref_threadsafe_function(own->env, files->published);
  release_values(own->env, task);
  free_task(task);
}

// On the thread that publishes. The queue has no bound, so this fails only where the environment ends, which settles
// what is left.
static void tell_published(void *context, void *owner) {
  (void)napi_call_threadsafe_function(((environment *)context)->files.published, owner, napi_tsfn_nonblocking);
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
  bool tell = !task->settled && napi_get_reference_value(env, task->done, &done) == napi_ok &&
              napi_get_boolean(env, publication_succeeded(task->work), &succeeded) == napi_ok &&
              napi_get_undefined(env, &receiver) == napi_ok;
  end_task(context, task);
  // An exception of `done` is pending then, and Node reports it as uncaught.
  if (tell) (void)napi_call_function(env, receiver, done, 1, &succeeded, NULL);
}

static void stop_publisher(void *data) {
  environment *own = data;
  publishing *files = &own->files;
  for (publish_task **place = &files->tasks; *place != NULL;) {
    publish_task *task = *place;
    if (publisher_settle(files->publisher, task->work, false) == NEVER_BEGINS) {
      *place = task->next;
      release_values(own->env, task);
      free_task(task);
    } else {
      // It comes back through `call_done`.
      place = &task->next;
    }
  }
  publisher_stop(files->publisher);
  files->publisher = NULL;
  for (publish_task *task = files->tasks; task != NULL; task = task->next) release_values(own->env, task);
}

static bool start_publisher(napi_env env, environment *own) {
  publishing *files = &own->files;
  napi_value name;
  if (files->publisher != NULL) return true;
  if (files->published == NULL &&
      (napi_create_string_utf8(env, "logboom.publishFile", NAPI_AUTO_LENGTH, &name) != napi_ok ||
       napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, own, call_done,
                                       &files->published) != napi_ok ||
       napi_unref_threadsafe_function(env, files->published) != napi_ok)) {
    return false;
  }
  files->publisher = publisher_start(tell_published, own);
  if (files->publisher == NULL) return false;
  // Hooks run in reverse order, so the thread ends before what it calls.
  if (napi_add_env_cleanup_hook(env, stop_publisher, own) == napi_ok) return true;
  publisher_stop(files->publisher);
  files->publisher = NULL;
  return false;
}

// publishFile(temp, target, mode, data, length, done: (published: boolean) => void): number of the publication
static napi_value publish_file(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 6);
  char temp[PLATFORM_PATH_ROOM], target[PLATFORM_PATH_ROOM];
  take_path(&args, "publishFile", temp);
  take_path(&args, "publishFile", target);
  uint32_t mode = take_uint32(&args);
  napi_value array = args.values[3];
  byte_view data = take_bytes(&args);
  int64_t length = take_int64(&args);
  napi_value done = take_function(&args);
  environment *own = environment_of(&args);
  if (args.failed) return NULL;
  if (length < 0 || (uint64_t)length > data.length) return throw_system_error(env, "publishFile", EINVAL);
  publish_task *task = start_publisher(env, own) ? calloc(1, sizeof *task) : NULL;
  if (task == NULL) return throw_system_error(env, "publishFile", ENOMEM);
  add_task(own, task);
  napi_value number = NULL;
  if (napi_create_reference(env, array, 1, &task->data) == napi_ok &&
      napi_create_reference(env, done, 1, &task->done) == napi_ok &&
      napi_create_uint32(env, task->number, &number) == napi_ok) {
    task->work = publisher_add(own->files.publisher, temp, target, mode, data.data, (size_t)length, task);
  }
  if (task->work != NULL) return number;
  end_task(own, task);
  return throw_system_error(env, "publishFile", ENOMEM);
}

// settlePublication(number, wait): boolean, or undefined while it is under way; once for each that `done` was not called for
static napi_value settle_publication(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 2);
  uint32_t number = take_uint32(&args);
  bool wait = take_bool(&args);
  environment *own = environment_of(&args);
  if (args.failed) return NULL;
  publish_task *task = own->files.tasks;
  while (task != NULL && task->number != number) task = task->next;
  if (task == NULL || task->settled) return throw_system_error(env, "settlePublication", EINVAL);
  enum settlement settlement = publisher_settle(own->files.publisher, task->work, wait);
  if (settlement == IS_RUNNING) return NULL;
  task->settled = true;
  napi_value succeeded = give_bool(env, publication_succeeded(task->work));
  if (settlement == NEVER_BEGINS) end_task(own, task);
  return succeeded;
}

// abandonPublication(number): boolean; for one that `settlePublication` could not settle
static napi_value abandon_publication(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  uint32_t number = take_uint32(&args);
  environment *own = environment_of(&args);
  if (args.failed) return NULL;
  publish_task *task = own->files.tasks;
  while (task != NULL && task->number != number) task = task->next;
  if (task == NULL || task->settled) return throw_system_error(env, "abandonPublication", EINVAL);
  return give_bool(env, publisher_abandon(own->files.publisher, task->work));
}

#endif

const binding publish_bindings[] = {
    {"publishFile", ONLY_POSIX(publish_file)},
    {"settlePublication", ONLY_POSIX(settle_publication)},
    {"abandonPublication", ONLY_POSIX(abandon_publication)},
    {NULL, NULL},
};
