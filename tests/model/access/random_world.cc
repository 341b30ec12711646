#include "random_world.h"

#include <algorithm>

namespace pailfs::test {
namespace {

using Numbers = std::vector<uint32_t>;

const std::string kNewName = "n";  // which nothing has

const Numbers kUids = {0, kOwnerUid, kAliceUid, kAliceUid, kBobUid, kBobUid, kCarolUid, kNobodyUid};
const Numbers kGids = {0, kDevGid, kOpsGid, kAliceUid};
// Most directories let through, or nothing below them would ever be asked for.
const Numbers kDirectoryModes = {0777, 0777, 0755, 0755, 0755,  0711,  0775, 0733,
                                 0750, 0770, 0707, 0700, 01777, 01777, 0};
const Numbers kFileModes = {0666, 0644, 0664, 0777, 0755,  0640,  0660,  0606,
                            0600, 0200, 0111, 0711, 04755, 02755, 04666, 0};

}  // namespace

std::vector<AclLine> RandomWorld::acl(uint32_t& mode) {
  const auto bits = [&] { return static_cast<uint32_t>(one_in(3) ? 7 : below(8)); };
  std::vector<AclLine> out{{Who::kOwner, bits(), 0}};
  Numbers users{kOwnerUid, kAliceUid, kBobUid, kCarolUid, kNobodyUid}, groups{kDevGid, kOpsGid};
  for (const uint32_t user : users) {
    if (one_in(3)) out.push_back({Who::kNamedUser, bits(), user});
  }
  out.push_back({Who::kOwningGroup, bits(), 0});
  for (const uint32_t group : groups) {
    if (one_in(2)) out.push_back({Who::kNamedGroup, bits(), group});
  }
  out.push_back({Who::kMask, bits(), 0});
  const uint32_t mask = out.back().bits;
  out.push_back({Who::kOthers, bits(), 0});
  mode = (mode & 07000) | out.front().bits << 6 | mask << 3 | out.back().bits;
  return out;
}

Rights RandomWorld::rights(Kind kind) {
  Rights out{.mode = pick(kind == Kind::kDirectory ? kDirectoryModes : kFileModes),
             .uid = pick(kUids),
             .gid = pick(kGids),
             .acl = {}};
  if (one_in(8)) out.mode = static_cast<uint32_t>(below(01000)) | (kind == Kind::kDirectory && one_in(4) ? 01000 : 0);
  if (kind == Kind::kSymlink) {
    out.mode = 0777;
  } else if (one_in(4)) {
    out.acl = acl(out.mode);
  }
  return out;
}

size_t RandomWorld::add(World& world, size_t directory, const std::string& name, Kind kind) {
  Thing made{.kind = kind, .rights = rights(kind), .default_acl = {}, .names = {}, .older = {}};
  uint32_t unused = 0;
  if (kind == Kind::kDirectory && one_in(6)) made.default_acl = acl(unused);
  if (kind == Kind::kFile && one_in(2)) {
    made.older = rights(kind);
    made.older->mode &= 0777;  // writing the next version takes set-ID bits away
  }
  world.things.push_back(std::move(made));
  world.things[directory].names[name] = world.things.size() - 1;
  return world.things.size() - 1;
}

World RandomWorld::world(std::string bucket, std::string account) {
  World out;
  out.bucket = std::move(bucket);
  out.account = std::move(account);
  out.ownership = one_in(6)   ? Ownership::kBucketOwnerEnforced
                  : one_in(5) ? Ownership::kBucketOwnerPreferred
                              : Ownership::kObjectWriter;
  Thing top{.kind = Kind::kDirectory, .rights = rights(Kind::kDirectory), .default_acl = {}, .names = {}, .older = {}};
  if (!one_in(6)) {
    top.rights.acl.clear();
    top.rights.mode |= 0111;
  }
  out.things.push_back(top);
  const size_t a = add(out, 0, "a", Kind::kDirectory), b = add(out, 0, "b", Kind::kDirectory);
  const size_t c = add(out, one_in(2) ? a : b, one_in(2) ? "alice" : "c", Kind::kDirectory);
  const std::vector<size_t> directories{0, a, b, c};
  const size_t f = add(out, pick(directories), "f", Kind::kFile);
  const size_t g = add(out, pick(directories), "g", Kind::kFile);
  if (one_in(2)) add(out, pick(directories), "s", Kind::kSymlink);
  if (one_in(2)) add(out, pick(directories), "e", Kind::kDirectory);
  if (one_in(2)) out.things[pick(directories)].names["h"] = one_in(2) ? f : g;
  return out;
}

Asker RandomWorld::asker() {
  Asker out;
  static const std::vector<std::pair<const char*, uint32_t>> people = {
      {"alice", kAliceUid}, {"alice", kAliceUid},  {"alice", kAliceUid},   {"bob", kBobUid},     {"bob", kBobUid},
      {"bob", kBobUid},     {"keeper", kCarolUid}, {"nobody", kNobodyUid}, {"owner", kOwnerUid}, {"root", 0}};
  const auto& [who, uid] = pick(people);
  out.who = who;
  out.uid = uid;
  out.gid = one_in(3) ? kDevGid : one_in(3) ? kOpsGid : uid;
  if (one_in(3)) out.groups.push_back(kDevGid);
  if (one_in(3)) out.groups.push_back(kOpsGid);
  return out;
}

std::vector<RandomWorld::Target> RandomWorld::targets(const World& world) {
  std::vector<Target> out{{.directory = {}, .name = "", .thing = 0, .parent = 0}};
  for (size_t i = 0; i < out.size(); ++i) {
    for (const auto& [name, thing] : world.things[out[i].thing].names) {
      Target one{.directory = out[i].directory, .name = name, .thing = thing, .parent = out[i].thing};
      if (!out[i].name.empty()) one.directory.push_back(out[i].name);
      out.push_back(one);
    }
  }
  return out;
}

bool RandomWorld::fits(const World& world, Operation operation, const Target& target) const {
  const Thing& thing = world.things[target.thing];
  const bool top = target.name.empty();
  switch (operation) {
    case Operation::kList:
      return thing.kind == Kind::kDirectory;
    case Operation::kReadLink:
      return thing.kind == Kind::kSymlink;
    case Operation::kRead:
    case Operation::kWrite:
    case Operation::kReadWrite:
    case Operation::kExecute:
    case Operation::kTruncate:
    case Operation::kAccess:
      return thing.kind == Kind::kFile;
    case Operation::kSetDefaultAcl:
      return !top && thing.kind == Kind::kDirectory;
    case Operation::kExchange:
      return !top && thing.kind != Kind::kDirectory;
    case Operation::kReadVersion:
    case Operation::kRemoveVersion:
      return thing.older.has_value() && target.name != "h";  // a name that came later has no older version
    case Operation::kUnlink:
      return thing.kind != Kind::kDirectory;
    case Operation::kLink:
      return thing.kind == Kind::kFile;
    case Operation::kRemoveDirectory:
      return !top && thing.kind == Kind::kDirectory && thing.names.empty();
    case Operation::kRename:
    case Operation::kLookup:
      return !top;
    case Operation::kGetXattr:
    case Operation::kSetXattr:
    case Operation::kRemoveXattr:
    case Operation::kGetAcl:
    case Operation::kChown:
    case Operation::kChgrp:
      return !top && thing.kind != Kind::kSymlink;
    case Operation::kChmod:
    case Operation::kSetAcl:
    case Operation::kTouch:
    case Operation::kSetTimes:
      return thing.kind != Kind::kSymlink;
    case Operation::kCreate:
    case Operation::kMakeDirectory:
    case Operation::kSymlink:
      return thing.kind == Kind::kDirectory;
  }
  return false;
}

// With another file or symbolic link, if there is one.
bool RandomWorld::exchanges(const World& world, const Target& target, Question& question) {
  std::vector<Target> others;
  for (const Target& one : targets(world)) {
    if (world.things[one.thing].kind != Kind::kDirectory && one.thing != target.thing) others.push_back(one);
  }
  if (others.empty()) return false;
  const Target& other = pick(others);
  question.to = other.directory;
  question.new_name = other.name;
  return true;
}

Question RandomWorld::question(const World& world) {
  Question out;
  out.asker = asker();
  std::vector<Target> where;
  while (where.empty()) {
    out.operation = static_cast<Operation>(below(kOperations));
    for (const Target& one : targets(world)) {
      if (fits(world, out.operation, one)) where.push_back(one);
    }
  }
  const Target target = pick(where);
  out.directory = target.directory;
  out.name = target.name;
  const bool makes = out.operation == Operation::kCreate || out.operation == Operation::kMakeDirectory ||
                     out.operation == Operation::kSymlink;
  if (makes) {
    if (!out.name.empty()) out.directory.push_back(out.name);
    out.name = kNewName;
  } else if (out.operation == Operation::kLookup && one_in(4)) {
    out.name = kNewName;
  }
  out.resolved = !one_in(3) || out.operation == Operation::kReadLink || out.operation == Operation::kGetAcl;
  if (out.operation == Operation::kExchange && !exchanges(world, target, out)) return question(world);
  if (out.operation == Operation::kRename || out.operation == Operation::kLink) {
    std::vector<Target> to;
    for (const Target& one : targets(world)) {
      if (world.things[one.thing].kind != Kind::kDirectory) continue;
      // Not into itself.
      if (!one.name.empty() && one.thing == target.thing) continue;
      std::vector<std::string> path = one.directory;
      if (!one.name.empty()) path.push_back(one.name);
      std::vector<std::string> own = target.directory;
      own.push_back(target.name);
      if (path.size() >= own.size() && std::equal(own.begin(), own.end(), path.begin())) continue;
      to.push_back(one);
    }
    const Target into = one_in(3) ? to.front() : pick(to);
    out.to = into.directory;
    if (!into.name.empty()) out.to.push_back(into.name);
    out.new_name = kNewName;
    const bool replaces = out.operation == Operation::kRename && world.things[target.thing].kind != Kind::kDirectory;
    if (replaces && one_in(3)) {
      for (const auto& [name, there] : world.things[into.thing].names) {
        if (world.things[there].kind != Kind::kDirectory && there != target.thing) out.new_name = name;
      }
    }
  }
  if (out.operation == Operation::kChmod) {
    out.mode = one_in(6) ? 04755 : static_cast<uint32_t>(below(01000));
    if (world.things[target.thing].kind == Kind::kDirectory) out.mode &= 01777;
  }
  if (out.operation == Operation::kAccess) out.mode = static_cast<uint32_t>(below(8));
  out.uid = one_in(2) ? world.things[target.thing].rights.uid : pick(kUids);
  out.gid = pick(kGids);
  uint32_t unused = 0;
  if (out.operation == Operation::kSetAcl || out.operation == Operation::kSetDefaultAcl) out.acl = acl(unused);
  return out;
}

}  // namespace pailfs::test
