// A table of our own, because strerrorname_np(3) needs glibc 2.32 and does not exist in musl. It has every error that
// errno(3) and Linux know, not only those that the calls made here are documented to give: file systems give others.
#include "error-names.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define NAME(code) {code, #code}
// ENOTSUP is the same number as EOPNOTSUPP and EWOULDBLOCK the same as EAGAIN on Linux; the manual pages of the calls
// say EOPNOTSUPP and EAGAIN, and so does the fallback.
static const struct {
  int number;
  const char *name;
} names[] = {
    NAME(E2BIG), NAME(EACCES), NAME(EADDRINUSE), NAME(EADDRNOTAVAIL), NAME(EAFNOSUPPORT), NAME(EAGAIN),
    NAME(EALREADY), NAME(EBADF), NAME(EBADMSG), NAME(EBUSY), NAME(ECANCELED), NAME(ECHILD), NAME(ECONNABORTED),
    NAME(ECONNREFUSED), NAME(ECONNRESET), NAME(EDEADLK), NAME(EDESTADDRREQ), NAME(EDOM), NAME(EEXIST), NAME(EFAULT),
    NAME(EFBIG), NAME(EHOSTUNREACH), NAME(EIDRM), NAME(EILSEQ), NAME(EINPROGRESS), NAME(EINTR), NAME(EINVAL),
    NAME(EIO), NAME(EISCONN), NAME(EISDIR), NAME(ELOOP), NAME(EMFILE), NAME(EMLINK), NAME(EMSGSIZE),
    NAME(ENAMETOOLONG), NAME(ENETDOWN), NAME(ENETRESET), NAME(ENETUNREACH), NAME(ENFILE), NAME(ENOBUFS),
    NAME(ENODATA), NAME(ENODEV), NAME(ENOENT), NAME(ENOEXEC), NAME(ENOLCK), NAME(ENOLINK), NAME(ENOMEM), NAME(ENOMSG),
    NAME(ENOPROTOOPT), NAME(ENOSPC), NAME(ENOSR), NAME(ENOSTR), NAME(ENOSYS), NAME(ENOTCONN), NAME(ENOTDIR),
    NAME(ENOTEMPTY), NAME(ENOTRECOVERABLE), NAME(ENOTSOCK), NAME(ENOTTY), NAME(ENXIO), NAME(EOPNOTSUPP),
    NAME(EOVERFLOW), NAME(EOWNERDEAD), NAME(EPERM), NAME(EPIPE), NAME(EPROTO), NAME(EPROTONOSUPPORT),
    NAME(EPROTOTYPE), NAME(ERANGE), NAME(EROFS), NAME(ESPIPE), NAME(ESRCH), NAME(ETIME), NAME(ETIMEDOUT),
    NAME(ETXTBSY), NAME(EXDEV),
#ifndef _WIN32
    NAME(EDQUOT), NAME(EHOSTDOWN), NAME(EMULTIHOP), NAME(ENOTBLK), NAME(EPFNOSUPPORT), NAME(EREMOTE), NAME(ESHUTDOWN),
    NAME(ESOCKTNOSUPPORT), NAME(ESTALE), NAME(ETOOMANYREFS), NAME(EUSERS),
#endif
#ifdef __linux__
    NAME(EADV), NAME(EBADE), NAME(EBADFD), NAME(EBADR), NAME(EBADRQC), NAME(EBADSLT), NAME(EBFONT), NAME(ECHRNG),
    NAME(ECOMM), NAME(EDOTDOT), NAME(EHWPOISON), NAME(EISNAM), NAME(EKEYEXPIRED), NAME(EKEYREJECTED),
    NAME(EKEYREVOKED), NAME(EL2HLT), NAME(EL2NSYNC), NAME(EL3HLT), NAME(EL3RST), NAME(ELIBACC), NAME(ELIBBAD),
    NAME(ELIBEXEC), NAME(ELIBMAX), NAME(ELIBSCN), NAME(ELNRNG), NAME(EMEDIUMTYPE), NAME(ENAVAIL), NAME(ENOANO),
    NAME(ENOCSI), NAME(ENOKEY), NAME(ENOMEDIUM), NAME(ENONET), NAME(ENOPKG), NAME(ENOTNAM), NAME(ENOTUNIQ),
    NAME(EREMCHG), NAME(EREMOTEIO), NAME(ERESTART), NAME(ERFKILL), NAME(ESRMNT), NAME(ESTRPIPE), NAME(EUCLEAN),
    NAME(EUNATCH), NAME(EXFULL),
    // The kernel's own, which some file systems let through; no libc has a name for it.
    {524, "ENOTSUPP"},
#endif
};
#undef NAME

static const char *known_name(int error) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (names[i].number == error) return names[i].name;
  }
  return NULL;
}

void error_name(int error, char name[ERROR_NAME_ROOM]) {
  const char *known = known_name(error);
  if (known == NULL) snprintf(name, ERROR_NAME_ROOM, "E%d", error);
  else snprintf(name, ERROR_NAME_ROOM, "%s", known);
}

const char *error_text(int error) {
  // strerror(3) is safe among threads for the errors it knows, whose texts are constant.
  return known_name(error) == NULL ? "unknown error" : strerror(error);
}
