// CRC-32C with the processor's instruction (SSE4.2, ARMv8) where there is one, else slicing by 8.
#include "checksum.h"

#include <string.h>

static uint32_t tables[8][256];

static void fill_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
    tables[0][byte] = crc;
  }
  for (int slice = 1; slice < 8; slice++) {
    for (int byte = 0; byte < 256; byte++) {
      uint32_t previous = tables[slice - 1][byte];
      tables[slice][byte] = (previous >> 8) ^ tables[0][previous & 255];
    }
  }
}

static uint32_t crc_tables(uint32_t crc, const uint8_t *bytes, size_t length) {
  for (; length >= 8; length -= 8, bytes += 8) {
    uint32_t low = crc ^ ((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                          (uint32_t)bytes[3] << 24);
    crc = tables[7][low & 255] ^ tables[6][(low >> 8) & 255] ^ tables[5][(low >> 16) & 255] ^
          tables[4][low >> 24] ^ tables[3][bytes[4]] ^ tables[2][bytes[5]] ^ tables[1][bytes[6]] ^
          tables[0][bytes[7]];
  }
  for (; length > 0; length--, bytes++) crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 255];
  return crc;
}

static uint32_t (*update)(uint32_t, const uint8_t *, size_t) = crc_tables;

#if defined(__x86_64__)
#include <nmmintrin.h>
// The instruction is a feature of its own to clang since version 14; gcc takes it for a part of SSE4.2.
#if defined(__clang__) && __clang_major__ >= 14
#define HARDWARE __attribute__((target("sse4.2,crc32")))
#else
#define HARDWARE __attribute__((target("sse4.2")))
#endif
#define CRC_WORD(crc, word) ((uint32_t)_mm_crc32_u64(crc, word))
#define CRC_BYTE(crc, byte) _mm_crc32_u8(crc, byte)
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define HARDWARE
#define CRC_WORD(crc, word) __crc32cd(crc, word)
#define CRC_BYTE(crc, byte) __crc32cb(crc, byte)
#endif

#ifdef HARDWARE
// The instruction takes three cycles but starts anew in each one, so three checksums at once cost as much as one.
// What lies before a block is brought behind it by the effect that as many zeros have; that is linear in the
// checksum, so four tables hold it (Gopal et al., "Fast CRC computation for iSCSI polynomial using CRC32
// instruction", Intel 2011).
#define BLOCK 2048
static uint32_t zeros[4][256];

HARDWARE static uint64_t load(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
  return word;
}

static uint32_t behind_block(uint32_t crc) {
  return zeros[0][crc & 255] ^ zeros[1][(crc >> 8) & 255] ^ zeros[2][(crc >> 16) & 255] ^ zeros[3][crc >> 24];
}

HARDWARE static uint32_t crc_hardware(uint32_t crc, const uint8_t *bytes, size_t length) {
  for (; length >= 3 * BLOCK; length -= 3 * BLOCK, bytes += 3 * BLOCK) {
    uint32_t second = 0, third = 0;
    for (size_t at = 0; at < BLOCK; at += 8) {
      crc = CRC_WORD(crc, load(bytes + at));
      second = CRC_WORD(second, load(bytes + BLOCK + at));
      third = CRC_WORD(third, load(bytes + 2 * BLOCK + at));
    }
    crc = behind_block(behind_block(crc) ^ second) ^ third;
  }
  for (; length >= 8; length -= 8, bytes += 8) crc = CRC_WORD(crc, load(bytes));
  for (; length > 0; length--, bytes++) crc = CRC_BYTE(crc, *bytes);
  return crc;
}

static void use_hardware(void) {
  static const uint8_t block[BLOCK];
  for (int slice = 0; slice < 4; slice++) {
    for (int bit = 0; bit < 8; bit++) {
      uint32_t single = crc_hardware(1u << (8 * slice + bit), block, BLOCK);
      for (int byte = 0; byte < 256; byte++) {
        if (byte >> bit & 1) zeros[slice][byte] ^= single;
      }
    }
  }
  update = crc_hardware;
}
#endif

// Run by the loader, before anything can be called.
__attribute__((constructor)) static void init(void) {
  fill_tables();
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) use_hardware();
#elif defined(HARDWARE)
  use_hardware();
#endif
}

uint32_t checksum_crc32c(uint32_t seed, const uint8_t *bytes, size_t length) {
  return ~update(~seed, bytes, length);
}
