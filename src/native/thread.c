#include "thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, void *(*run)(void *data), void *data) {
  sigset_t all, before;
  // A thread inherits the mask of the one that starts it.
  sigfillset(&all);
  int error = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (error != 0) return error;
  error = pthread_create(thread, NULL, run, data);
  // The mask was good before, so setting it again cannot fail.
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}
