// Windows: locks and a rename that does not replace. What else the addon has for files elsewhere, Node does as well here.
#define WIN32_LEAN_AND_MEAN
#define UNICODE
#include <windows.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

// Of libuv, exported by Node: descriptors are numbers of Node's C library, which is not that of this file.
__declspec(dllimport) HANDLE uv_get_osfhandle(int fd);
__declspec(dllimport) int uv_fs_close(void *loop, void *request, int fd, void *callback);
// A uv_fs_t, whose size is fixed within libuv 1.x and well below this.
#define UV_REQUEST_BYTES 2048

// As libuv has them, as far as the calls below give them.
static int error_of(DWORD error) {
  switch (error) {
    case ERROR_FILE_NOT_FOUND: case ERROR_PATH_NOT_FOUND: case ERROR_INVALID_NAME: case ERROR_BAD_PATHNAME:
    case ERROR_INVALID_DRIVE: case ERROR_DIRECTORY: case ERROR_MOD_NOT_FOUND:
      return ENOENT;
    case ERROR_FILE_EXISTS: case ERROR_ALREADY_EXISTS: return EEXIST;
    case ERROR_SHARING_VIOLATION: case ERROR_LOCK_VIOLATION: case ERROR_BUSY: return EBUSY;
    case ERROR_ACCESS_DENIED: case ERROR_PRIVILEGE_NOT_HELD: return EPERM;
    case ERROR_NOT_SAME_DEVICE: return EXDEV;
    case ERROR_DISK_FULL: case ERROR_HANDLE_DISK_FULL: return ENOSPC;
    case ERROR_FILENAME_EXCED_RANGE: return ENAMETOOLONG;
    case ERROR_WRITE_PROTECT: return EROFS;
    case ERROR_INVALID_HANDLE: return EBADF;
    case ERROR_NOT_ENOUGH_MEMORY: case ERROR_OUTOFMEMORY: case ERROR_NO_SYSTEM_RESOURCES: return ENOMEM;
    case ERROR_TOO_MANY_OPEN_FILES: return EMFILE;
    case ERROR_INVALID_FUNCTION: case ERROR_NOT_SUPPORTED: return EOPNOTSUPP;
    case ERROR_INVALID_PARAMETER: return EINVAL;
    default: return EIO;
  }
}

// A lock keeps others from reading and writing the bytes it is on, so it lies where no file has any: slots from here on.
// That of the whole file covers them all.
#define FIRST_SLOT ((uint64_t)1 << 62)
#define ALL_SLOTS (((uint64_t)1 << 62) - 1)

static OVERLAPPED region_of(int64_t slot, uint64_t *length) {
  uint64_t at = FIRST_SLOT + (slot == PLATFORM_WHOLE_FILE ? 0 : (uint64_t)slot);
  *length = slot == PLATFORM_WHOLE_FILE ? ALL_SLOTS : 1;
  return (OVERLAPPED){.Offset = (DWORD)at, .OffsetHigh = (DWORD)(at >> 32)};
}

static int try_lock(HANDLE file, int64_t slot) {
  uint64_t length;
  OVERLAPPED region = region_of(slot, &length);
  DWORD flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
  if (LockFileEx(file, flags, 0, (DWORD)length, (DWORD)(length >> 32), &region)) return 1;
  DWORD error = GetLastError();
  return error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING ? 0 : -error_of(error);
}

// The lock belongs to the handle: it excludes other threads that opened the file themselves, and is freed with it.
int platform_lock(int fd, int64_t slot, int64_t wait_us) {
  HANDLE file = uv_get_osfhandle(fd);
  if (file == INVALID_HANDLE_VALUE) return -EBADF;
  if (slot != PLATFORM_WHOLE_FILE && (slot < 0 || (uint64_t)slot >= ALL_SLOTS)) return -EINVAL;
  ULONGLONG deadline = GetTickCount64() + (ULONGLONG)(wait_us > 0 ? wait_us / 1000 : 0);
  for (;;) {
    int result = try_lock(file, slot);
    if (result != 0 || wait_us <= 0 || GetTickCount64() >= deadline) return result;
    Sleep(1);
  }
}

int platform_unlock(int fd, int64_t slot) {
  HANDLE file = uv_get_osfhandle(fd);
  if (file == INVALID_HANDLE_VALUE) return -EBADF;
  if (slot != PLATFORM_WHOLE_FILE && (slot < 0 || (uint64_t)slot >= ALL_SLOTS)) return -EINVAL;
  uint64_t length;
  OVERLAPPED region = region_of(slot, &length);
  if (UnlockFileEx(file, 0, (DWORD)length, (DWORD)(length >> 32), &region)) return 0;
  DWORD error = GetLastError();
  return error == ERROR_NOT_LOCKED ? 0 : -error_of(error);
}

int platform_sync(int fd, int data_only) {
  (void)data_only;
  HANDLE file = uv_get_osfhandle(fd);
  if (file == INVALID_HANDLE_VALUE) return -EBADF;
  return FlushFileBuffers(file) ? 0 : -error_of(GetLastError());
}

void platform_close(int fd) {
  _Alignas(16) char request[UV_REQUEST_BYTES] = {0};
  (void)uv_fs_close(NULL, request, fd, NULL);
}

// The path with the prefix that lifts the limit of 260 characters, in UTF-16; to be freed. NULL: `*error` says why.
static WCHAR *wide_path(const char *path, int *error) {
  static const WCHAR share[] = L"\\\\?\\UNC\\", local[] = L"\\\\?\\";
  enum { PREFIX = 8, ROOM = 32768 };
  WCHAR *given = malloc(PLATFORM_PATH_ROOM * sizeof *given);
  WCHAR *full = malloc((PREFIX + ROOM) * sizeof *full);
  *error = ENOMEM;
  DWORD length = 0;
  if (given != NULL && full != NULL) {
    *error = EINVAL;
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, given, PLATFORM_PATH_ROOM) > 0) {
      length = GetFullPathNameW(given, ROOM, full + PREFIX, NULL);
      if (length == 0) *error = error_of(GetLastError());
      else if (length >= ROOM) *error = ENAMETOOLONG;
    }
  }
  free(given);
  if (length == 0 || length >= ROOM) {
    free(full);
    return NULL;
  }
  WCHAR *begin = full + PREFIX;
  // Already such a path, or one of a device.
  if (wcsncmp(begin, L"\\\\?\\", 4) == 0 || wcsncmp(begin, L"\\\\.\\", 4) == 0) {
    memmove(full, begin, (length + 1) * sizeof *full);
  } else if (wcsncmp(begin, L"\\\\", 2) == 0) {
    memcpy(full, share, PREFIX * sizeof *full);
    memmove(full + PREFIX, begin + 2, (length - 1) * sizeof *full);
  } else {
    memcpy(full, local, 4 * sizeof *full);
    memmove(full + 4, begin, (length + 1) * sizeof *full);
  }
  return full;
}

int platform_rename_no_replace(const char *from, const char *to) {
  int error = 0;
  WCHAR *old_name = wide_path(from, &error), *new_name = old_name == NULL ? NULL : wide_path(to, &error);
  if (new_name != NULL) error = MoveFileExW(old_name, new_name, 0) ? 0 : error_of(GetLastError());
  free(old_name);
  free(new_name);
  return -error;
}
