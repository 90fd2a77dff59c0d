// Threads that run no JavaScript.
#ifndef LOGBOOM_THREAD_H
#define LOGBOOM_THREAD_H

#include <pthread.h>

// pthread_create(3) of a thread that gets no signals: they are for the one that runs JavaScript. 0 or an errno.
int thread_start(pthread_t *thread, void *(*run)(void *data), void *data);

#endif
