// A validating JSON scanner (RFC 8259). The whole text is checked, because a later duplicate of the key wins
// and a malformed text has no value at all, as with JSON.parse.
#include "json.h"

#include <stdbool.h>
#include <string.h>

#define MAX_DEPTH 1024

typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} cursor;

static void skip_space(cursor *c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n')) c->at++;
}

static int hex_digit(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  byte |= 0x20;
  return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// Value of the four digits at `at`, or -1.
static int32_t hex4(const uint8_t *at, const uint8_t *end) {
  if (end - at < 4) return -1;
  int32_t value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

// Bytes that end the fast run inside a string: quote, backslash, control characters.
static bool is_special(uint8_t byte) { return byte == '"' || byte == '\\' || byte < 0x20; }

// Passes a string whose opening quote was passed; its content is then [start, at - 1).
static bool pass_string(cursor *c, bool *escaped) {
  *escaped = false;
  for (;;) {
    while (c->at < c->end && !is_special(*c->at)) c->at++;
    if (c->at == c->end || *c->at < 0x20) return false;
    if (*c->at++ == '"') return true;
    *escaped = true;
    if (c->at == c->end) return false;
    switch (*c->at++) {
      case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        break;
      case 'u':
        if (hex4(c->at, c->end) < 0) return false;
        c->at += 4;
        break;
      default:
        return false;
    }
  }
}

static bool pass_digits(cursor *c) {
  const uint8_t *from = c->at;
  while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
  return c->at > from;
}

static bool pass_number(cursor *c) {
  if (*c->at == '-') c->at++;
  if (c->at < c->end && *c->at == '0') c->at++;
  else if (!pass_digits(c)) return false;
  if (c->at < c->end && *c->at == '.') {
    c->at++;
    if (!pass_digits(c)) return false;
  }
  if (c->at < c->end && (*c->at | 0x20) == 'e') {
    c->at++;
    if (c->at < c->end && (*c->at == '+' || *c->at == '-')) c->at++;
    if (!pass_digits(c)) return false;
  }
  return true;
}

static bool pass_word(cursor *c, const char *word, size_t length) {
  if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
  c->at += length;
  return true;
}

static bool pass_scalar(cursor *c) {
  switch (*c->at) {
    case 't': return pass_word(c, "true", 4);
    case 'f': return pass_word(c, "false", 5);
    case 'n': return pass_word(c, "null", 4);
    default: return pass_number(c);
  }
}

static size_t encode_utf8(uint32_t code, uint8_t *out) {
  if (code < 0x80) {
    out[0] = (uint8_t)code;
    return 1;
  }
  if (code < 0x800) {
    out[0] = (uint8_t)(0xc0 | code >> 6);
    out[1] = (uint8_t)(0x80 | (code & 63));
    return 2;
  }
  if (code < 0x10000) {
    out[0] = (uint8_t)(0xe0 | code >> 12);
    out[1] = (uint8_t)(0x80 | (code >> 6 & 63));
    out[2] = (uint8_t)(0x80 | (code & 63));
    return 3;
  }
  out[0] = (uint8_t)(0xf0 | code >> 18);
  out[1] = (uint8_t)(0x80 | (code >> 12 & 63));
  out[2] = (uint8_t)(0x80 | (code >> 6 & 63));
  out[3] = (uint8_t)(0x80 | (code & 63));
  return 4;
}

// Decodes the escape after a backslash (known to be well formed); returns the UTF-8 bytes, or 0 for a lone
// surrogate, which no UTF-8 key equals.
static size_t decode_escape(const uint8_t **at, const uint8_t *end, uint8_t *out) {
  uint8_t kind = *(*at)++;
  switch (kind) {
    case 'b': return encode_utf8('\b', out);
    case 'f': return encode_utf8('\f', out);
    case 'n': return encode_utf8('\n', out);
    case 'r': return encode_utf8('\r', out);
    case 't': return encode_utf8('\t', out);
    case 'u': break;
    default: return encode_utf8(kind, out);
  }
  uint32_t code = (uint32_t)hex4(*at, end);
  *at += 4;
  if (code < 0xd800 || code > 0xdfff) return encode_utf8(code, out);
  if (code > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return 0;
  int32_t low = hex4(*at + 2, end);
  if (low < 0xdc00 || low > 0xdfff) return 0;
  *at += 6;
  return encode_utf8(0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00), out);
}

static bool escaped_equals(const uint8_t *at, const uint8_t *end, const uint8_t *key, size_t key_length) {
  while (at < end) {
    uint8_t decoded[4];
    size_t length = 1;
    if (*at != '\\') {
      decoded[0] = *at++;
    } else {
      at++;
      length = decode_escape(&at, end, decoded);
      if (length == 0) return false;
    }
    if (length > key_length || memcmp(decoded, key, length) != 0) return false;
    key += length;
    key_length -= length;
  }
  return key_length == 0;
}

enum json_value json_find_string(const uint8_t *text, size_t length, const uint8_t *key, size_t key_length,
                                 size_t *start, size_t *end) {
  cursor c = {text, text + length};
  uint8_t is_object[MAX_DEPTH];
  size_t depth = 1;
  enum json_value found = JSON_NO_STRING;
  bool escaped, wanted = false;
  skip_space(&c);
  if (c.at == c.end || *c.at++ != '{') return JSON_NO_STRING;
  is_object[0] = true;
  bool first = true;
  while (depth > 0) {
    // Before a member, an element, or the end of the innermost container.
    skip_space(&c);
    if (c.at == c.end) return JSON_NO_STRING;
    bool object = is_object[depth - 1];
    if (*c.at == (object ? '}' : ']')) {
      c.at++;
      depth--;
      first = false;
      continue;
    }
    if (!first) {
      if (*c.at++ != ',') return JSON_NO_STRING;
      skip_space(&c);
      if (c.at == c.end) return JSON_NO_STRING;
    }
    first = false;
    if (object) {
      if (*c.at++ != '"') return JSON_NO_STRING;
      const uint8_t *name = c.at;
      if (!pass_string(&c, &escaped)) return JSON_NO_STRING;
      if (depth == 1) {
        size_t name_length = (size_t)(c.at - 1 - name);
        wanted = escaped ? escaped_equals(name, c.at - 1, key, key_length)
                         : name_length == key_length && memcmp(name, key, key_length) == 0;
      }
      skip_space(&c);
      if (c.at == c.end || *c.at++ != ':') return JSON_NO_STRING;
      skip_space(&c);
      if (c.at == c.end) return JSON_NO_STRING;
    }
    bool top = wanted && depth == 1;
    if (top) found = JSON_NO_STRING;
    if (*c.at == '"') {
      const uint8_t *value = ++c.at;
      if (!pass_string(&c, &escaped)) return JSON_NO_STRING;
      if (top) {
        found = escaped ? JSON_ESCAPED : JSON_STRING;
        *start = (size_t)(value - text);
        *end = (size_t)(c.at - 1 - text);
      }
    } else if (*c.at == '{' || *c.at == '[') {
      if (depth == MAX_DEPTH) return JSON_TOO_DEEP;
      is_object[depth++] = *c.at++ == '{';
      first = true;
    } else if (!pass_scalar(&c)) {
      return JSON_NO_STRING;
    }
  }
  skip_space(&c);
  return c.at == c.end ? found : JSON_NO_STRING;
}
