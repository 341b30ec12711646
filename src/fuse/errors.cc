// The one table from codes to errno. No default: a new code must say what programs see.
#include <cerrno>

#include "fuse/session_impl.h"

namespace pailfs {

int errno_of(Code code) {
  switch (code) {
    case Code::kNotFound:
      return ENOENT;
    case Code::kExists:
      return EEXIST;
    case Code::kNotDirectory:
      return ENOTDIR;
    case Code::kIsDirectory:
      return EISDIR;
    case Code::kNotEmpty:
      return ENOTEMPTY;
    case Code::kAccessDenied:
      return EACCES;
    case Code::kNotPermitted:
      return EPERM;
    case Code::kCrossDevice:
      return EXDEV;
    case Code::kInvalid:
      return EINVAL;
    case Code::kNameTooLong:
      return ENAMETOOLONG;
    case Code::kTooManyLinks:
      return EMLINK;
    case Code::kTooBig:
      return EFBIG;
    case Code::kNoSpace:
      return ENOSPC;
    case Code::kQuota:
      return EDQUOT;
    case Code::kReadOnly:
      return EROFS;
    case Code::kIo:
    case Code::kCorrupt:
    case Code::kWrongKey:  // a key that was there is gone: content cannot be verified
    case Code::kTooNew:
      return EIO;
    case Code::kNoData:
      return ENODATA;
    case Code::kRange:
      return ERANGE;
    case Code::kNotSupported:
      return EOPNOTSUPP;
    case Code::kBusy:
    case Code::kInUse:
      return EBUSY;
    case Code::kBadHandle:
      return EBADF;
    case Code::kNoDevice:
      return ENXIO;
    case Code::kInterrupted:
      return EINTR;
    case Code::kNoMemory:
      return ENOMEM;
    case Code::kLoop:
      return ELOOP;
    case Code::kTextBusy:
      return ETXTBSY;
  }
  return EIO;
}

}  // namespace pailfs
