#include "world.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pailfs::test {
namespace {

std::string text_of(const std::vector<AclLine>& acl) {
  static const char* const kTags[] = {"owner", "user", "group", "group", "mask", "others"};
  std::string out = acl.empty() ? "" : ", ACL";
  for (const AclLine& line : acl) {
    const bool named = line.who == Who::kNamedUser || line.who == Who::kNamedGroup;
    out += fmt::format(" {}{}:{}", kTags[static_cast<size_t>(line.who)], named ? fmt::format(" {}", line.id) : "",
                       line.bits);
  }
  return out;
}

std::string text_of(const Rights& rights) {
  return fmt::format("{:04o} uid {} gid {}{}", rights.mode, rights.uid, rights.gid, text_of(rights.acl));
}

}  // namespace

bool Asker::has_group(uint32_t group) const { return gid == group || std::ranges::find(groups, group) != groups.end(); }

std::string joined(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

std::map<std::string, size_t> World::keys() const {
  std::map<std::string, size_t> out{{"", 0}};
  std::vector<std::pair<std::string, size_t>> to_do{{"", 0}};
  while (!to_do.empty()) {
    const auto [key, thing] = to_do.back();
    to_do.pop_back();
    for (const auto& [name, inside] : things[thing].names) {
      out.emplace(joined(key, name), inside);
      to_do.emplace_back(joined(key, name), inside);
    }
  }
  return out;
}

bool World::has_policies() const {
  return !(bucket_policy.is_null() && alices.is_null() && bobs.is_null() && dev.is_null() &&
           alices_boundary.is_null() && keepers.is_null());
}

const char* operation_name(Operation operation) {
  static const char* const kNames[kOperations] = {
      "lookup",  "list",     "read",         "write",          "read-write", "execute",        "readlink",    "create",
      "mkdir",   "symlink",  "unlink",       "rmdir",          "rename",     "link",           "chmod",       "chown",
      "chgrp",   "truncate", "touch",        "set-times",      "getxattr",   "setxattr",       "removexattr", "getfacl",
      "setfacl", "access",   "read-version", "remove-version", "exchange",   "setfacl-default"};
  return kNames[static_cast<size_t>(operation)];
}

std::string describe(const World& world) {
  static const char* const kOwnerships[] = {"ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced"};
  static const char* const kKinds[] = {"directory", "file", "symlink"};
  std::string out = fmt::format("bucket {}, {}\n", world.bucket, kOwnerships[static_cast<size_t>(world.ownership)]);
  for (const auto& [key, thing] : world.keys()) {
    const Thing& one = world.things[thing];
    out += fmt::format("  '{}': {} {}, {}", key, kKinds[static_cast<size_t>(one.kind)], thing, text_of(one.rights));
    if (!one.default_acl.empty()) out += fmt::format("; default{}", text_of(one.default_acl));
    if (one.older) out += fmt::format("; an older version {}", text_of(*one.older));
    out += "\n";
  }
  const auto document = [&](const char* whose, const nlohmann::json& policy) {
    if (!policy.is_null()) out += fmt::format("{}: {}\n", whose, policy.dump());
  };
  document("bucket policy", world.bucket_policy);
  document("policy of alice", world.alices);
  document("boundary of alice", world.alices_boundary);
  document("policy of the role keeper", world.keepers);
  document("policy of bob", world.bobs);
  document("policy of the group dev", world.dev);
  return out;
}

std::string describe(const Question& question) {
  const auto path = [](const std::vector<std::string>& directory, const std::string& name) {
    return joined(fmt::format("{}", fmt::join(directory, "/")), name);
  };
  std::string out = fmt::format("{} (uid {}, gid {}, groups {}): {} of '{}'", question.asker.who, question.asker.uid,
                                question.asker.gid, fmt::join(question.asker.groups, ","),
                                operation_name(question.operation), path(question.directory, question.name));
  if (!question.new_name.empty()) out += fmt::format(" to '{}'", path(question.to, question.new_name));
  switch (question.operation) {
    case Operation::kChmod:
    case Operation::kAccess:
      out += fmt::format(", {:o}", question.mode);
      break;
    case Operation::kChown:
      out += fmt::format(", to uid {}", question.uid);
      break;
    case Operation::kChgrp:
      out += fmt::format(", to gid {}", question.gid);
      break;
    case Operation::kSetAcl:
    case Operation::kSetDefaultAcl:
      out += text_of(question.acl);
      break;
    default:
      break;
  }
  return out + (question.resolved ? "" : ", without looking names up");
}

}  // namespace pailfs::test
