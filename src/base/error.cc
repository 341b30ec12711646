#include "base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace pailfs {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kNotFound:
      return "not found";
    case Code::kExists:
      return "exists";
    case Code::kNotDirectory:
      return "not a directory";
    case Code::kIsDirectory:
      return "is a directory";
    case Code::kNotEmpty:
      return "not empty";
    case Code::kAccessDenied:
      return "access denied";
    case Code::kNotPermitted:
      return "not permitted";
    case Code::kCrossDevice:
      return "cross-bucket";
    case Code::kInvalid:
      return "invalid";
    case Code::kNameTooLong:
      return "name too long";
    case Code::kTooManyLinks:
      return "too many links";
    case Code::kTooBig:
      return "too big";
    case Code::kNoSpace:
      return "no space";
    case Code::kQuota:
      return "quota exceeded";
    case Code::kReadOnly:
      return "read-only";
    case Code::kIo:
      return "input/output error";
    case Code::kCorrupt:
      return "damaged";
    case Code::kNoData:
      return "no data";
    case Code::kRange:
      return "out of range";
    case Code::kNotSupported:
      return "not supported";
    case Code::kBusy:
      return "busy";
    case Code::kInUse:
      return "in use";
    case Code::kWrongKey:
      return "wrong key";
    case Code::kTooNew:
      return "newer format";
    case Code::kBadHandle:
      return "bad handle";
    case Code::kNoDevice:
      return "no such offset";
    case Code::kInterrupted:
      return "interrupted";
    case Code::kNoMemory:
      return "out of memory";
    case Code::kLoop:
      return "too many symbolic links";
    case Code::kTextBusy:
      return "text file busy";
  }
  return "unknown";
}

std::unexpected<Error> context(std::string_view doing, Error error) {
  error.message = fmt::format("{}: {}", doing, error.message);
  return std::unexpected(std::move(error));
}

namespace {
Code code_of_errno(int errnum) {
  switch (errnum) {
    case ENOENT:
      return Code::kNotFound;
    case EEXIST:
      return Code::kExists;
    case ENOTDIR:
      return Code::kNotDirectory;
    case EISDIR:
      return Code::kIsDirectory;
    case ENOTEMPTY:
      return Code::kNotEmpty;
    case EACCES:
      return Code::kAccessDenied;
    case EPERM:
      return Code::kNotPermitted;
    case EXDEV:
      return Code::kCrossDevice;
    case EINVAL:
      return Code::kInvalid;
    case ENAMETOOLONG:
      return Code::kNameTooLong;
    case EMLINK:
      return Code::kTooManyLinks;
    case EFBIG:
      return Code::kTooBig;
    case ENOSPC:
      return Code::kNoSpace;
    case EDQUOT:
      return Code::kQuota;
    case EROFS:
      return Code::kReadOnly;
    case EOPNOTSUPP:
      return Code::kNotSupported;
    case EBUSY:
      return Code::kBusy;
    case EINTR:
      return Code::kInterrupted;
    case ENOMEM:
      return Code::kNoMemory;
    case ELOOP:
      return Code::kLoop;
    case ENXIO:
      return Code::kNoDevice;
    case ERANGE:
      return Code::kRange;
    case ENODATA:
      return Code::kNoData;
    case EBADF:
      return Code::kBadHandle;
    default:
      return Code::kIo;
  }
}
}  // namespace

Error system_error(int errnum, std::string_view doing) {
  return Error{code_of_errno(errnum), fmt::format("{}: {}", doing, std::generic_category().message(errnum))};
}

}  // namespace pailfs
