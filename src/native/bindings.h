// What the subjects of the addon share: each exports its functions as a table, which addon.c puts together, and may
// keep something for each environment.
#ifndef LOGBOOM_BINDINGS_H
#define LOGBOOM_BINDINGS_H

#include "arguments.h"

typedef struct {
  const char *name;
  napi_callback function;
} binding;

// A row without function is what a system leaves to the portable twin.
#ifdef _WIN32
#define ONLY_POSIX(function) NULL
#else
#define ONLY_POSIX(function) function
#endif

// Each ends with a row without name.
extern const binding file_bindings[];
extern const binding bytes_bindings[];
extern const binding framing_bindings[];
extern const binding wal_bindings[];
extern const binding publish_bindings[];
extern const binding sync_bindings[];
extern const binding exit_bindings[];
extern const binding lane_bindings[];

// Descriptors to close when the environment ends. Terminating a worker thread runs no JavaScript and closes no
// descriptor, so a lock it held would outlive it until the whole process dies.
typedef struct {
  int *fds;
  size_t length;
  size_t capacity;
} exit_list;

typedef struct publisher publisher;
typedef struct publish_task publish_task;

// The thread that publishes is started when it is needed first; `published` brings what it has done back to the thread
// that asked.
typedef struct {
  publisher *publisher;
  napi_threadsafe_function published;
  publish_task *tasks;
  uint32_t last_task;
} publishing;

// What one environment (the main thread or a worker) has.
typedef struct {
  napi_env env;
  exit_list closed_at_exit;
  publishing files;
} environment;

// Of the function that is called; NULL, and `args` has failed, if there is none.
environment *environment_of(arguments *args);

// Called last when an environment ends.
void close_at_exit_now(exit_list *list);

#endif
