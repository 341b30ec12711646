#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>

namespace pailfs {
namespace {

TEST(Error, SystemErrorsGetTheirCode) {
  const std::pair<int, Code> table[] = {
      {ENOENT, Code::kNotFound},
      {EEXIST, Code::kExists},
      {ENOTDIR, Code::kNotDirectory},
      {EISDIR, Code::kIsDirectory},
      {ENOTEMPTY, Code::kNotEmpty},
      {EACCES, Code::kAccessDenied},
      {EPERM, Code::kNotPermitted},
      {EXDEV, Code::kCrossDevice},
      {EINVAL, Code::kInvalid},
      {ENAMETOOLONG, Code::kNameTooLong},
      {EMLINK, Code::kTooManyLinks},
      {EFBIG, Code::kTooBig},
      {ENOSPC, Code::kNoSpace},
      {EDQUOT, Code::kQuota},
      {EROFS, Code::kReadOnly},
      {EOPNOTSUPP, Code::kNotSupported},
      {EBUSY, Code::kBusy},
      {EINTR, Code::kInterrupted},
      {ENOMEM, Code::kNoMemory},
      {ELOOP, Code::kLoop},
      {ENXIO, Code::kNoDevice},
      {ERANGE, Code::kRange},
      {ENODATA, Code::kNoData},
      {EBADF, Code::kBadHandle},
      {EIO, Code::kIo},
      {EMFILE, Code::kIo},
      {0, Code::kIo},
  };
  for (const auto& [errnum, code] : table) EXPECT_EQ(system_error(errnum, "x").code, code) << errnum;
}

TEST(Error, SystemErrorSaysWhatWasDoneAndWhatTheSystemSaid) {
  EXPECT_EQ(system_error(ENOSPC, "writing /x").message, "writing /x: No space left on device");
}

TEST(Error, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  const int last = static_cast<int>(Code::kTextBusy);
  for (int code = 0; code <= last; ++code) names.insert(code_name(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), static_cast<size_t>(last) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(Error, ContextPrefixesTheMessageAndKeepsTheCode) {
  const Status status = context("opening segment 7", Error{Code::kCorrupt, "bad header"});
  EXPECT_EQ(status.error().code, Code::kCorrupt);
  EXPECT_EQ(status.error().message, "opening segment 7: bad header");
}

Result<std::unique_ptr<int>> make(bool succeed) {
  if (!succeed) return fail(Code::kBusy, "no");
  return std::make_unique<int>(1);
}

Result<int> sum(bool first, bool second) {
  PAILFS_ASSIGN(const auto a, make(first));
  PAILFS_ASSIGN(const auto b, make(second));
  PAILFS_TRY(make(true));
  return *a + *b;
}

TEST(Error, MacrosPassFailuresUpAndMoveValuesOut) {
  EXPECT_EQ(sum(true, true), 2);
  EXPECT_EQ(sum(false, true).error().code, Code::kBusy);
  EXPECT_EQ(sum(true, false).error().message, "no");
}

}  // namespace
}  // namespace pailfs
