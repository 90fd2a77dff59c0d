// The native addon: what Node lacks for log files shared by processes. This is the table of its functions; each subject
// has a bind-….c, where arguments are checked, and below that a file of plain C that knows nothing of JavaScript. System
// calls are in the file of each operating system, behind platform.h. index.ts says what each function does.
#include <stdlib.h>

#include "bindings.h"

static const binding *const subjects[] = {
    file_bindings, bytes_bindings, framing_bindings, wal_bindings, publish_bindings, sync_bindings, exit_bindings,
    lane_bindings,
};

environment *environment_of(arguments *args) {
  void *found = NULL;
  if (args->failed) return NULL;
  if (napi_get_instance_data(args->env, &found) == napi_ok && found != NULL) return found;
  args->failed = true;
  throw_internal_error(args->env, "it is not initialised");
  return NULL;
}

static void end_environment(void *data) {
  environment *ended = data;
  close_at_exit_now(&ended->closed_at_exit);
  free(ended);
}

static environment *begin_environment(napi_env env) {
  environment *begun = calloc(1, sizeof *begun);
  if (begun == NULL) return NULL;
  begun->env = env;
  // Hooks run in reverse order: this one, the first, when nobody uses it any more.
  if (napi_add_env_cleanup_hook(env, end_environment, begun) != napi_ok) {
    free(begun);
    return NULL;
  }
  return napi_set_instance_data(env, begun, NULL, NULL) == napi_ok ? begun : NULL;
}

NAPI_MODULE_INIT() {
  if (begin_environment(env) == NULL) return throw_internal_error(env, "cannot initialise");
  for (size_t subject = 0; subject < sizeof subjects / sizeof *subjects; subject++) {
    for (const binding *row = subjects[subject]; row->name != NULL; row++) {
      napi_value function;
      napi_status made = row->function == NULL
                             ? napi_get_null(env, &function)
                             : napi_create_function(env, row->name, NAPI_AUTO_LENGTH, row->function, NULL, &function);
      if (made != napi_ok ||
          napi_set_named_property(env, exports, row->name, function) != napi_ok) {
        return throw_internal_error(env, "cannot make its functions");
      }
    }
  }
  return exports;
}
