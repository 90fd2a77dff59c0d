// System calls that differ between operating systems: linux.c and darwin.c with what both share in posix.c, and
// windows.c, which has only what Node lacks there. Functions return 0 or a positive result, or -errno.
#ifndef LOGBOOM_PLATFORM_H
#define LOGBOOM_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

// Room for a path in UTF-8 with its end. A longer one is ENAMETOOLONG.
#define PLATFORM_PATH_ROOM 4096

// Takes an exclusive lock on byte `slot` of the file; 1 if held, 0 if somebody else still has it after
// `wait_us`. The lock belongs to the open file description: it is freed when its last descriptor is closed or
// the process dies, and excludes other threads that opened the file themselves.
int platform_lock(int fd, int64_t slot, int64_t wait_us);
// That of a slot which is not locked is no error.
int platform_unlock(int fd, int64_t slot);

// As `slot`: every byte the file has or will have, which is what etcd locks.
#define PLATFORM_WHOLE_FILE (-1)

// rename(2) that fails with EEXIST instead of replacing; ENOSYS where the kernel or file system has none.
int platform_rename_no_replace(const char *from, const char *to);

// Takes a descriptor of Node off this process, whatever comes of it: it is free then.
void platform_close(int fd);

// fsync(2) or fdatasync(2), or what brings the bytes to the medium itself where those do not.
int platform_sync(int fd, int data_only);

// On Windows the portable twins serve instead: rows of NULL in the tables of bind-….c.
#ifndef _WIN32
#include <sys/uio.h>

// Reserves blocks for a range and extends the file over it; reserved bytes read as zeros.
int platform_fallocate(int fd, int64_t offset, int64_t length);

// The multiple that offset, length and memory of O_DIRECT transfers must have (statx(2) STATX_DIOALIGN,
// Linux 6.1); 0 if the file system does not tell, -EOPNOTSUPP if it refuses O_DIRECT.
int platform_direct_alignment(int fd);

// Reserves blocks without changing the size of the file.
int platform_preallocate(int fd, int64_t offset, int64_t length);

// Identity and state of the file at `path`, or of open file `fd` if that is NULL: device, inode, size, modification
// time (ns since 1970), number of names, mode with type, owner.
#define PLATFORM_STAT_FIELDS 7
int platform_stat(int fd, const char *path, int follow, int64_t fields[PLATFORM_STAT_FIELDS]);

// pwrite(2) that returns when these bytes are on disk (RWF_DSYNC, Linux 4.7); may write fewer than asked.
int64_t platform_write_synced(int fd, const void *bytes, size_t length, int64_t offset);

// One pwritev(2), or what stands for it; may write fewer than asked.
int64_t platform_write_pieces(int fd, const struct iovec *pieces, int count, int64_t offset);

// Makes a file at `path`, where nothing may be, with these bytes and exactly this mode. If it fails, nothing is left.
int platform_write_new(const char *path, uint32_t mode, const void *bytes, size_t length);

// fchmod(2)
int platform_set_mode(int fd, uint32_t mode);

// Asks for huge pages in the whole pages of a range of memory (madvise(2) MADV_HUGEPAGE).
int platform_huge_pages(void *start, size_t length);

// Maps the first `length` bytes of the file for reading and writing (mmap(2) MAP_SHARED); EINVAL if it is shorter. The
// descriptor may be closed afterwards. Blocks must have been reserved: without room for one, touching it is SIGBUS.
int platform_map(int fd, size_t length, void **memory);
int platform_unmap(void *memory, size_t length);

#endif

#endif
