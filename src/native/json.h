// Finds the value of one top-level key in a JSON text without building anything.
#ifndef LOGBOOM_JSON_H
#define LOGBOOM_JSON_H

#include <stddef.h>
#include <stdint.h>

enum json_value {
  JSON_NO_STRING,  // no such key, its value is no string, no object, or not well formed (RFC 8259)
  JSON_STRING,     // the string is [start, end) as it stands
  JSON_ESCAPED,    // [start, end) holds escapes
  JSON_TOO_DEEP    // nested deeper than this scanner follows
};

// The last value of `key` (UTF-8, unescaped), as JSON.parse sees it.
enum json_value json_find_string(const uint8_t *text, size_t length, const uint8_t *key, size_t key_length,
                                 size_t *start, size_t *end);

#endif
