// Names of system errors, as Node gives them in `code`.
#ifndef LOGBOOM_ERROR_NAMES_H
#define LOGBOOM_ERROR_NAMES_H

// Room for every name with its end.
#define ERROR_NAME_ROOM 24

// "ENOSPC" for ENOSPC; of a number that has no name here, "E" and the number, so that nothing is lost.
void error_name(int error, char name[ERROR_NAME_ROOM]);

// What a person is told.
const char *error_text(int error);

#endif
