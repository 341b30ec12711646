#include "fuse/session.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "fuse/session_impl.h"

namespace pailfs {
namespace {

TEST(Errors, DamageIsAnInputOutputErrorAndNeverAMissingPermission) {
  EXPECT_EQ(errno_of(Code::kCorrupt), EIO);
  EXPECT_EQ(errno_of(Code::kAccessDenied), EACCES);
  EXPECT_EQ(errno_of(Code::kNotPermitted), EPERM);
  EXPECT_EQ(errno_of(Code::kNoSpace), ENOSPC);
  EXPECT_EQ(errno_of(Code::kCrossDevice), EXDEV);
}

TEST(Operations, EachHasItsName) {
  for (uint8_t i = 0; i < static_cast<uint8_t>(Operation::kCount); ++i) {
    EXPECT_STRNE(operation_name(static_cast<Operation>(i)), "?");
  }
}

TEST(OpenWritersTable, CountsHandlesByInode) {
  OpenWriters writers;
  writers.add(7, 1);
  writers.add(7, 2);
  writers.add(9, 3);
  EXPECT_EQ(writers.all().size(), 3u);
  writers.remove(7, 1);
  EXPECT_TRUE(writers.contains(7));
  writers.remove(7, 1);  // gone already
  EXPECT_TRUE(writers.contains(7));
  writers.remove(7, 2);
  EXPECT_FALSE(writers.contains(7));
  EXPECT_TRUE(writers.contains(9));
}

TEST(Uring, SaysWhyNot) {
  const UringPlan plan = plan_uring(false);
  EXPECT_FALSE(plan.wanted);
  EXPECT_EQ(plan.reason, "switched off by option");
  const UringPlan automatic = plan_uring(true);
  EXPECT_EQ(automatic.wanted, automatic.reason.empty());
}

}  // namespace
}  // namespace pailfs
