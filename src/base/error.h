// One error type for everything below the doors. A door (fuse, ctl, cli) maps Code through one exhaustive table of its
// own.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace pailfs {

enum class Code {
  kNotFound,      // no such entry, bucket, version
  kExists,        // name is taken
  kNotDirectory,  //
  kIsDirectory,   //
  kNotEmpty,      // directory or bucket still holds something
  kAccessDenied,  // the gate said no (EACCES)
  kNotPermitted,  // the operation is not for this caller or object, whatever the mode bits say (EPERM)
  kCrossDevice,   // rename or link between buckets
  kInvalid,       // an argument makes no sense
  kNameTooLong,   //
  kTooManyLinks,  //
  kTooBig,        // offset or size beyond what a file can hold
  kNoSpace,       // the disk below the store is full
  kQuota,         // the disk below the store says EDQUOT
  kReadOnly,      // the store is read-only (failed sync, damage, or asked for)
  kIo,            // the disk below failed
  kCorrupt,       // something read does not verify; never returned for a missing permission
  kNoData,        // no such extended attribute; no data or hole beyond an offset
  kRange,         // the caller's buffer is too small
  kNotSupported,  //
  kBusy,          //
  kInUse,         // another process holds the store
  kWrongKey,      // no unlock slot opens with the secret that was given
  kTooNew,        // written by a newer format than this build knows
  kBadHandle,     // handle was not opened for this
  kNoDevice,      // offset beyond the end in a seek for data or hole (ENXIO)
  kInterrupted,   //
  kNoMemory,      //
  kLoop,          // too many symbolic links
  kTextBusy,      //
};

// The name of the code, for logs and tests ("not found").
std::string_view code_name(Code code);

struct Error {
  Code code = Code::kIo;
  // What is wrong and with what, and where it helps what to do: for the person who reads it at three in the morning.
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

// Prefixes the message of a failure: context("opening segment 7", std::move(error)).
std::unexpected<Error> context(std::string_view doing, Error error);

// The Error for a failed system call: chooses the code by errno and appends strerror. `doing` names call and object.
Error system_error(int errnum, std::string_view doing);

}  // namespace pailfs

// Propagates a failure: `PAILFS_TRY(call());` for Status, `PAILFS_ASSIGN(auto x, call());` for Result<T>.
#define PAILFS_CONCAT_(a, b) a##b
#define PAILFS_CONCAT(a, b) PAILFS_CONCAT_(a, b)
#define PAILFS_TRY(expr)                                                                                       \
  do {                                                                                                         \
    if (auto pailfs_status = (expr); !pailfs_status) return std::unexpected(std::move(pailfs_status).error()); \
  } while (0)
#define PAILFS_ASSIGN(decl, expr) PAILFS_ASSIGN_(PAILFS_CONCAT(pailfs_result_, __LINE__), decl, expr)
#define PAILFS_ASSIGN_(tmp, decl, expr)                     \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  decl = std::move(*tmp)
