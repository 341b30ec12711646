// The backups that a store knows: what it has forgotten passes only for what is older than all that it knows.
#include <gtest/gtest.h>

#include "store/internal_keys.h"

namespace pailfs::internal {
namespace {

std::string id_of(uint64_t number) { return std::string(8, 'b') + key2('i', number).substr(1); }

TEST(BackupIdsTest, AnUnknownOneIsKnownOnlyWhereItMayHaveBeenForgotten) {
  BackupIds backups;
  EXPECT_FALSE(backups.knows(0, id_of(1)));
  for (uint64_t number = 1; number <= BackupIds::kMax; ++number) backups.add(10 * number, id_of(number));
  EXPECT_TRUE(backups.knows(15, id_of(1)));
  EXPECT_FALSE(backups.knows(5, id_of(0)));
  backups.add(10 * BackupIds::kMax + 10, id_of(BackupIds::kMax + 1));
  const auto kept = decode_backup_ids(encode_backup_ids(backups));
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_TRUE(kept->knows(15, id_of(1)));
  EXPECT_TRUE(kept->knows(25, id_of(2)));
  EXPECT_TRUE(kept->knows(10 * BackupIds::kMax + 15, id_of(BackupIds::kMax + 1)));
  EXPECT_FALSE(kept->knows(25, id_of(12345)));
}

TEST(BackupIdsTest, AValueThatIsCutDoesNotDecode) {
  BackupIds backups;
  backups.add(1, id_of(1));
  const std::string value = encode_backup_ids(backups);
  for (size_t length = 0; length < value.size(); ++length) {
    // Two bytes are a list without backups.
    EXPECT_EQ(decode_backup_ids(value.substr(0, length)).has_value(), length == 2) << length;
  }
}

}  // namespace
}  // namespace pailfs::internal
