// Complete files brought into a folder by a thread of their own. One thread: two would wait for each other at the
// kernel's lock of the folder, and waking a second one costs as much as half a file.
#ifndef LOGBOOM_PUBLISH_H
#define LOGBOOM_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct publisher publisher;
typedef struct publication publication;

// `ended` is called on the thread with the owner of each publication that was not settled before it began. NULL without
// memory or thread.
publisher *publisher_start(void (*ended)(void *context, void *owner), void *context);

// Ends after the publication under way; those that wait are left to their owners.
void publisher_stop(publisher *thread);

// Asks for `length` bytes, which stay where they are until the work has ended, in a new file at `temp`, which gets
// `mode` and then the name `target`. Both names are copied. NULL without memory.
publication *publisher_add(publisher *thread, const char *temp, const char *target, uint32_t mode,
                           const void *bytes, size_t length, void *owner);

enum settlement { NEVER_BEGINS, HAS_ENDED, IS_RUNNING };

// Sees to it that the work does not begin if it has not, and with `wait` waits for its end if it has. `ended` has been
// called for what has ended.
enum settlement publisher_settle(publisher *thread, publication *work, bool wait);

// Work under way is not to be published any more, whenever it goes on. False if it is too late for that.
bool publisher_abandon(publisher *thread, publication *work);

// Of work that has ended: whether the file is at `target`. If not, nothing is left of it.
bool publication_succeeded(const publication *work);

void publication_free(publication *work);

#endif
