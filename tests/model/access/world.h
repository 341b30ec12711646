// A small bucket, its policies, and who asks for what in it: plain data, which random_world.h makes up, world_in_core.h
// builds in a core, and expected_answers.h judges.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace pailfs::test {

inline constexpr uint32_t kOwnerUid = 500;  // of the store's directory: the bucket owner
inline constexpr uint32_t kAliceUid = 1000, kBobUid = 1001;
inline constexpr uint32_t kCarolUid = 1002;            // who is in a session of the role keeper
inline constexpr uint32_t kNobodyUid = 3'000'000'001;  // who has no login name anywhere
inline constexpr const char* kSessionName = "night";   // of the role keeper
inline constexpr uint32_t kDevGid = 100;               // the group dev, which may have policies
inline constexpr uint32_t kOpsGid = 200;               // just a number

// One entry of an ACL, in the order in which acl(5) has them.
enum class Who : uint8_t { kOwner, kNamedUser, kOwningGroup, kNamedGroup, kMask, kOthers };
struct AclLine {
  Who who = Who::kOwner;
  uint32_t bits = 0;
  uint32_t id = 0;
};

struct Rights {
  uint32_t mode = 0;  // 07777; with an ACL the bits of the group are its mask
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<AclLine> acl;  // empty: the mode says everything
};

enum class Kind : uint8_t { kDirectory, kFile, kSymlink };

struct Thing {
  Kind kind = Kind::kFile;
  Rights rights;
  std::vector<AclLine> default_acl;     // of directories
  std::map<std::string, size_t> names;  // in a directory: what is there
  std::optional<Rights> older;          // of a file: those of an older version of it
};

struct Asker {
  std::string who;  // "root", "owner", "alice", "bob", "nobody", "keeper"
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;

  bool has_group(uint32_t group) const;
};

enum class Ownership : uint8_t { kObjectWriter, kBucketOwnerPreferred, kBucketOwnerEnforced };

struct World {
  std::string bucket;
  std::string account;
  Ownership ownership = Ownership::kObjectWriter;
  std::vector<Thing> things;         // the first is the bucket's directory
  nlohmann::json bucket_policy;      // null: none
  nlohmann::json alices, bobs, dev;  // policies of users and of the group; null: none
  nlohmann::json alices_boundary;    // null: none
  nlohmann::json keepers;            // of the role

  // All keys there are, with what they stand for; that of the bucket's directory is empty.
  std::map<std::string, size_t> keys() const;
  bool has_policies() const;
};

std::string joined(const std::string& directory, const std::string& name);

enum class Operation : uint8_t {
  kLookup,
  kList,
  kRead,
  kWrite,
  kReadWrite,
  kExecute,
  kReadLink,
  kCreate,
  kMakeDirectory,
  kSymlink,
  kUnlink,
  kRemoveDirectory,
  kRename,
  kLink,
  kChmod,
  kChown,
  kChgrp,
  kTruncate,
  kTouch,
  kSetTimes,
  kGetXattr,
  kSetXattr,
  kRemoveXattr,
  kGetAcl,
  kSetAcl,
  kAccess,
  kReadVersion,
  kRemoveVersion,
  kExchange,
  kSetDefaultAcl,
};
inline constexpr size_t kOperations = static_cast<size_t>(Operation::kSetDefaultAcl) + 1;
const char* operation_name(Operation operation);

struct Question {
  Asker asker;
  Operation operation = Operation::kLookup;
  std::vector<std::string> directory;  // the names that lead to the directory
  std::string name;                    // in it; empty: the bucket's directory itself
  std::vector<std::string> to;         // of a rename or link
  std::string new_name;
  bool resolved = true;  // names are looked up first; else the kernel has them
  uint32_t mode = 0;     // chmod, access
  uint32_t uid = 0;      // chown
  uint32_t gid = 0;      // chgrp
  std::vector<AclLine> acl;
};

// What makes a case again, for people.
std::string describe(const World& world);
std::string describe(const Question& question);

}  // namespace pailfs::test
