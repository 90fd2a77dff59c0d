// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), as in iSCSI (RFC 3720), ext4 and etcd.
#ifndef LOGBOOM_CHECKSUM_H
#define LOGBOOM_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// The checksum of `length` bytes, continued from `seed` (0 at the start).
uint32_t checksum_crc32c(uint32_t seed, const uint8_t *bytes, size_t length);

#endif
