// Bytes in memory: checksums, copies, line ends, pages.
#include <string.h>

#include "bindings.h"
#include "checksum.h"
#include "framing.h"
#include "platform.h"

// crc32c(data, seed, start, end): number
static napi_value crc32c(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 4);
  byte_view whole = take_bytes(&args);
  uint32_t seed = take_uint32(&args);
  byte_view bytes = take_range(&args, &whole);
  if (args.failed) return NULL;
  return give_number(env, checksum_crc32c(seed, bytes.data, bytes.length));
}

// copy(source, start, end, target, at)
static napi_value copy_bytes(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 5);
  byte_view source = take_part(&args);
  byte_view target = take_rest(&args);
  if (args.failed) return NULL;
  if (source.length > target.length) return throw_range_error(env, "range outside the array");
  // Both may be parts of one array.
  if (source.length > 0) memmove(target.data, source.data, source.length);
  return NULL;
}

// countLines(data, start, end): number
static napi_value count_lines(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 3);
  byte_view bytes = take_part(&args);
  if (args.failed) return NULL;
  return give_number(env, (double)framing_line_ends(bytes.data, bytes.length));
}

#ifndef _WIN32
// hugePages(data): boolean
static napi_value huge_pages(napi_env env, napi_callback_info info) {
  arguments args = arguments_of(env, info, 1);
  byte_view bytes = take_bytes(&args);
  if (args.failed) return NULL;
  return give_bool(env, platform_huge_pages(bytes.data, bytes.length) == 0);
}
#endif

const binding bytes_bindings[] = {
    {"crc32c", crc32c},
    {"copy", copy_bytes},
    {"countLines", count_lines},
    {"hugePages", ONLY_POSIX(huge_pages)},
    {NULL, NULL},
};
