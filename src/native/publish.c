#include "publish.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform.h"
#include "thread.h"

// NAMING: on its way to its final name, which nobody can hold up any more.
enum state { WAITING, RUNNING, NAMING, ENDED };

struct publication {
  publication *next;
  enum state state;
  bool succeeded;
  bool abandoned;
  char *temp;
  char *target;
  uint32_t mode;
  const char *bytes;
  size_t length;
  void *owner;
};

struct publisher {
  pthread_t thread;
  // For the list, `stopped` and the state of each publication.
  pthread_mutex_t mutex;
  pthread_cond_t added;
  pthread_cond_t ended;
  publication *first;
  publication **end;
  bool stopped;
  void (*notify)(void *context, void *owner);
  void *context;
};

static bool may_be_named(publisher *thread, publication *work) {
  pthread_mutex_lock(&thread->mutex);
  bool may = !work->abandoned;
  if (may) work->state = NAMING;
  pthread_mutex_unlock(&thread->mutex);
  return may;
}

// For file systems that cannot rename without replacing: link(2) does not replace either.
static int name_by_link(const char *temp, const char *target) {
  if (link(temp, target) == -1) return -errno;
  if (unlink(temp) == 0) return 0;
  int error = errno;
  unlink(target);
  return -error;
}

static bool publish(publisher *thread, publication *work) {
  if (platform_write_new(work->temp, work->mode, work->bytes, work->length) < 0) return false;
  int result = -ECANCELED;
  if (may_be_named(thread, work)) {
    result = platform_rename_no_replace(work->temp, work->target);
    if (result == -ENOSYS) result = name_by_link(work->temp, work->target);
  }
  if (result < 0) unlink(work->temp);
  return result == 0;
}

static publication *take_first(publisher *thread) {
  publication *work = thread->first;
  thread->first = work->next;
  if (thread->first == NULL) thread->end = &thread->first;
  return work;
}

static void *run(void *data) {
  publisher *thread = data;
  pthread_mutex_lock(&thread->mutex);
  while (!thread->stopped) {
    if (thread->first == NULL) {
      pthread_cond_wait(&thread->added, &thread->mutex);
      continue;
    }
    publication *work = take_first(thread);
    work->state = RUNNING;
    pthread_mutex_unlock(&thread->mutex);
    bool succeeded = publish(thread, work);
    pthread_mutex_lock(&thread->mutex);
    work->succeeded = succeeded;
    work->state = ENDED;
    // With the mutex, so that whoever waits for the end knows that this has been called.
    thread->notify(thread->context, work->owner);
    pthread_cond_broadcast(&thread->ended);
  }
  pthread_mutex_unlock(&thread->mutex);
  return NULL;
}

static bool init_waiting(publisher *thread) {
  if (pthread_mutex_init(&thread->mutex, NULL) != 0) return false;
  if (pthread_cond_init(&thread->added, NULL) == 0) {
    if (pthread_cond_init(&thread->ended, NULL) == 0) return true;
    pthread_cond_destroy(&thread->added);
  }
  pthread_mutex_destroy(&thread->mutex);
  return false;
}

static void end_waiting(publisher *thread) {
  pthread_cond_destroy(&thread->ended);
  pthread_cond_destroy(&thread->added);
  pthread_mutex_destroy(&thread->mutex);
}

publisher *publisher_start(void (*ended)(void *context, void *owner), void *context) {
  publisher *thread = calloc(1, sizeof *thread);
  if (thread == NULL) return NULL;
  if (!init_waiting(thread)) {
    free(thread);
    return NULL;
  }
  thread->end = &thread->first;
  thread->notify = ended;
  thread->context = context;
  if (thread_start(&thread->thread, run, thread) == 0) return thread;
  end_waiting(thread);
  free(thread);
  return NULL;
}

void publisher_stop(publisher *thread) {
  pthread_mutex_lock(&thread->mutex);
  thread->stopped = true;
  pthread_cond_signal(&thread->added);
  pthread_mutex_unlock(&thread->mutex);
  pthread_join(thread->thread, NULL);
  end_waiting(thread);
  free(thread);
}

publication *publisher_add(publisher *thread, const char *temp, const char *target, uint32_t mode,
                           const void *bytes, size_t length, void *owner) {
  publication *work = calloc(1, sizeof *work);
  if (work == NULL) return NULL;
  work->temp = strdup(temp);
  work->target = strdup(target);
  work->mode = mode;
  work->bytes = bytes;
  work->length = length;
  work->owner = owner;
  if (work->temp == NULL || work->target == NULL) {
    publication_free(work);
    return NULL;
  }
  pthread_mutex_lock(&thread->mutex);
  *thread->end = work;
  thread->end = &work->next;
  pthread_cond_signal(&thread->added);
  pthread_mutex_unlock(&thread->mutex);
  return work;
}

enum settlement publisher_settle(publisher *thread, publication *work, bool wait) {
  pthread_mutex_lock(&thread->mutex);
  enum settlement result = work->state == WAITING ? NEVER_BEGINS : HAS_ENDED;
  if (result == NEVER_BEGINS) {
    publication **place = &thread->first;
    while (*place != work) place = &(*place)->next;
    *place = work->next;
    if (work->next == NULL) thread->end = place;
    work->state = ENDED;
  }
  while (wait && work->state != ENDED) pthread_cond_wait(&thread->ended, &thread->mutex);
  if (work->state != ENDED) result = IS_RUNNING;
  pthread_mutex_unlock(&thread->mutex);
  return result;
}

bool publisher_abandon(publisher *thread, publication *work) {
  pthread_mutex_lock(&thread->mutex);
  work->abandoned = true;
  bool succeeds = work->state == NAMING || (work->state == ENDED && work->succeeded);
  pthread_mutex_unlock(&thread->mutex);
  return !succeeds;
}

bool publication_succeeded(const publication *work) { return work->succeeded; }

void publication_free(publication *work) {
  if (work == NULL) return;
  free(work->temp);
  free(work->target);
  free(work);
}
