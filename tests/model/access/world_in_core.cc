#include "world_in_core.h"

#include <sys/stat.h>
#include <unistd.h>

#include "core/acl.h"
#include "core/identity_ops.h"

namespace pailfs::test {
namespace {

using nlohmann::json;

// <linux/posix_acl_xattr.h>: version 2, then tag, permissions and id of each entry, little-endian.
std::string xattr_of(const std::vector<AclLine>& acl) {
  static const uint32_t kTags[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20};
  std::string out;
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  put(2, 4);
  for (const AclLine& line : acl) {
    const bool named = line.who == Who::kNamedUser || line.who == Who::kNamedGroup;
    put(kTags[static_cast<size_t>(line.who)], 2);
    put(line.bits, 2);
    put(named ? line.id : ~0u, 4);
  }
  return out;
}

Outcome outcome_of(const Error& error) {
  switch (error.code) {
    case Code::kAccessDenied:
      return Outcome::kAccessDenied;
    case Code::kNotFound:
      return Outcome::kNotFound;
    case Code::kNotPermitted:
      return Outcome::kNotPermitted;
    case Code::kCrossDevice:
      return Outcome::kCrossDevice;
    case Code::kNoData:  // who gets that far was let through
      return Outcome::kOk;
    default:
      return Outcome::kOther;
  }
}

}  // namespace

void WorldInCore::set_acl(Ino ino, std::string_view name, const std::vector<AclLine>& acl) {
  EXPECT_OK(memory_.core->setxattr(memory_.root, ino, name, xattr_of(acl), Core::XattrMode::kSet));
}

void WorldInCore::give(Ino ino, const Rights& rights, bool symlink) {
  EXPECT_OK(memory_.chown(memory_.root, ino, rights.uid, rights.gid));
  if (symlink) return;
  if (rights.acl.empty())
    EXPECT_OK(memory_.core->setxattr(memory_.root, ino, kAccessAclName, "", Core::XattrMode::kSet));
  if (!rights.acl.empty()) set_acl(ino, kAccessAclName, rights.acl);
  EXPECT_OK(memory_.chmod(memory_.root, ino, rights.mode));
}

void WorldInCore::make(const World& world, size_t directory, const std::string& path) {
  const Ino parent = inos_.at(directory);
  for (const auto& [name, thing] : world.things[directory].names) {
    const Thing& one = world.things[thing];
    if (name == "h") {  // another name of something
      links_.emplace_back(parent, thing);
      continue;
    }
    Ino& ino = inos_[thing];
    if (one.kind == Kind::kDirectory) {
      ino = memory_.mkdir(parent, name, 0777, memory_.root);
      make(world, thing, joined(path, name));
      if (!one.default_acl.empty()) set_acl(ino, kDefaultAclName, one.default_acl);
    } else if (one.kind == Kind::kSymlink) {
      const auto link = memory_.core->symlink(memory_.root, parent, name, "f");
      EXPECT_OK(link);
      ino = link ? link->ino : 0;
    } else {
      ino = memory_.stored(parent, name, "one");
      if (one.older) {
        give(ino, *one.older, false);
        memory_.write(ino, "another");
        const auto versions = memory_.core->versions(memory_.root, world.bucket, joined(path, name));
        EXPECT_OK(versions);
        EXPECT_EQ(versions ? versions->size() : 0, 2u);
        if (versions) older_[thing] = versions->back().name;
      }
    }
    if (one.kind != Kind::kSymlink) {
      EXPECT_OK(memory_.core->setxattr(memory_.root, ino, "user.note", "x", Core::XattrMode::kSet));
    }
    give(ino, one.rights, one.kind == Kind::kSymlink);
  }
}

void WorldInCore::put_identity(IdentityKind kind, const std::string& name, uint32_t number, const json& policy,
                               const json& boundary) {
  const std::string record = policy.dump() + boundary.dump();
  std::string& before = records_[name];
  if (before == record) return;
  before = record;
  const auto compiled = [](const json& document, policy::DocumentKind as = policy::DocumentKind::kIdentity) {
    auto out = IdentityOps::compile(document.dump(), as, false);
    EXPECT_OK(out);
    return out.value_or(nullptr);
  };
  IdentityOps& identities = memory_.core->identities();
  if (!boundary.is_null()) {
    EXPECT_OK(identities.change(memory_.root, {{IdentityKind::kManagedPolicy, "Bound", [&](std::optional<Identity>) {
                                                  Identity out;
                                                  out.kind = IdentityKind::kManagedPolicy;
                                                  out.name = "Bound";
                                                  out.versions[1] = {0, compiled(boundary)};
                                                  out.default_version = 1;
                                                  return Result<std::optional<Identity>>(out);
                                                }}}));
  }
  EXPECT_OK(identities.change(
      memory_.root,
      {{kind, name, [&](std::optional<Identity>) {
          Identity out;
          out.kind = kind;
          out.name = name;
          if (number != 0) out.numbers = {number};
          if (kind == IdentityKind::kRole) {
            const json trusts = {
                {"Version", "2012-10-17"},
                {"Statement",
                 {{"Effect", "Allow"},
                  {"Action", "sts:AssumeRole"},
                  {"Principal", {{"AWS", "arn:aws:iam::" + memory_.core->account_id() + ":user/carol"}}}}}};
            out.trust = compiled(trusts, policy::DocumentKind::kTrust);
            out.max_session = kMinSession;
          }
          if (!policy.is_null()) out.inlined["own"] = compiled(policy);
          if (!boundary.is_null()) out.boundary = "Bound";
          return Result<std::optional<Identity>>(out);
        }}}));
}

WorldInCore::WorldInCore(CoreOnMemory& memory) : memory_(memory) {
  put_identities(World());
  put_identity(IdentityKind::kUser, "carol", kCarolUid, {}, {});
  Caller carol{.uid = kCarolUid, .gid = kCarolUid, .pid = static_cast<uint32_t>(::getpid())};
  EXPECT_OK(memory_.core->identities().assume(carol, "keeper", kSessionName, kMinSession));
}

void WorldInCore::put_identities(const World& world) {
  put_identity(IdentityKind::kUser, "alice", kAliceUid, world.alices, world.alices_boundary);
  put_identity(IdentityKind::kUser, "bob", kBobUid, world.bobs, {});
  put_identity(IdentityKind::kGroup, "dev", kDevGid, world.dev, {});
  put_identity(IdentityKind::kRole, "keeper", 0, world.keepers, {});
}

void WorldInCore::give_documents(const World& world) {
  put_identities(world);
  if (world.bucket_policy.is_null()) return;
  EXPECT_OK(memory_.core->put_bucket_policy(memory_.root, world.bucket, world.bucket_policy.dump()));
}

void WorldInCore::build(const World& world) {
  inos_.clear();
  older_.clear();
  // Root makes it, whom no policy that is left from the world before is about.
  Core& core = *memory_.core;
  EXPECT_OK(core.create_bucket(memory_.root, world.bucket, Versioning::kEnabled, 0777));
  inos_[0] = core.bucket_directory(world.bucket).value_or(0);
  make(world, 0, "");
  for (const auto& [parent, thing] : links_) {
    const auto link = core.link(memory_.root, inos_.at(thing), parent, "h");
    EXPECT_OK(link);
    if (link) core.forget(link->ino, 1);
  }
  links_.clear();
  give(inos_[0], world.things[0].rights, false);
  EXPECT_OK(core.set_bucket_ownership(memory_.root, world.bucket, static_cast<ObjectOwnership>(world.ownership)));
  give_documents(world);
}

// One question: who asks, and what was looked up for it, which is given back at the end.
class WorldInCore::Visit {
 public:
  Visit(WorldInCore& in, const World& world, const Question& question)
      : core_(*in.memory_.core),
        in_(in),
        world_(world),
        question_(question),
        user_(question.asker.uid, question.asker.groups) {
    user_.caller.gid = question.asker.gid;
    // Without a process he is nobody's service and in no role.
    user_.caller.pid = question.asker.who == "keeper" ? static_cast<uint32_t>(::getpid()) : 0;
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() {
    for (const Ino ino : looked_up_) core_.forget(ino, 1);
  }

  Told ask() {
    size_t directory = 0, target = 0;
    if (!walk(question_.directory, directory)) return told_;
    if (!question_.name.empty()) {
      const auto found = world_.things[directory].names.find(question_.name);
      const bool there = found != world_.things[directory].names.end();
      if (question_.operation == Operation::kReadVersion || question_.operation == Operation::kRemoveVersion)
        return version(directory, found->second);
      if (question_.resolved || question_.operation == Operation::kLookup) {
        look_up(in_.inos_.at(directory), question_.name);
        const bool missing = !there && told_.outcome == Outcome::kNotFound;
        if (question_.operation == Operation::kLookup || (told_.outcome != Outcome::kOk && !missing)) return told_;
        told_ = {};
      }
      target = there ? found->second : 0;
    } else {
      target = directory;
    }
    call(in_.inos_.at(directory), in_.inos_.at(target));
    return told_;
  }

 private:
  template <class R>
  bool tell(const R& result) {
    told_ = {};
    if (result) return true;
    told_.outcome = outcome_of(result.error());
    told_.message = result.error().message;
    return false;
  }
  template <class R>
  void tell_made(const R& result) {
    if (tell(result)) looked_up_.push_back(result->ino);
  }

  Ino look_up(Ino parent, const std::string& name) {
    const auto found = core_.lookup(user_, parent, name);
    tell_made(found);
    return found ? found->ino : 0;
  }
  bool walk(const std::vector<std::string>& names, size_t& at) {
    for (const std::string& name : names) {
      if (question_.resolved && look_up(in_.inos_.at(at), name) == 0) return false;
      at = world_.things[at].names.at(name);
    }
    return true;
  }
  void open(Ino ino, OpenFlags flags) {
    const auto opened = core_.open(user_, ino, flags);
    if (tell(opened)) core_.release(ino, opened->handle);
  }
  void change(Ino ino, const AttributeChange& change) { tell(core_.setattr(user_, ino, change)); }

  void list(Ino ino) {
    const auto handle = core_.opendir(user_, ino);
    if (!tell(handle)) return;
    std::set<std::string> names;
    const bool read = tell(core_.readdir(user_, ino, *handle, 0, false, [&](const DirectoryEntry& entry) {
      if (entry.name != "." && entry.name != "..") names.insert(entry.name);
      return true;
    }));
    if (read) told_.names = names;
    core_.releasedir(*handle);
  }

  Told version(size_t directory, size_t thing) {
    Ino at = in_.inos_.at(directory);
    for (const std::string& name : {std::string(".versions"), question_.name}) {
      at = look_up(at, name);
      if (at == 0) return told_;
    }
    const std::string& name = in_.older_.at(thing);
    const Ino version = look_up(at, name);
    if (version == 0) return told_;
    if (question_.operation == Operation::kReadVersion) open(version, {.read = true});
    if (question_.operation == Operation::kRemoveVersion) tell(core_.unlink(user_, at, name));
    return told_;
  }

  void make(Ino directory) {
    const std::string& name = question_.name;
    if (question_.operation == Operation::kMakeDirectory) {
      tell_made(core_.mkdir(user_, directory, name, 0755));
    } else if (question_.operation == Operation::kSymlink) {
      tell_made(core_.symlink(user_, directory, name, "f"));
    } else {
      const auto made = core_.create(user_, directory, name, 0644, {.write = true});
      if (!tell(made)) return;
      core_.release(made->attributes.ino, made->open.handle);
      looked_up_.push_back(made->attributes.ino);
    }
  }

  void move(Ino directory, Ino target) {
    size_t to = 0;
    if (!walk(question_.to, to)) return;
    const Ino into = in_.inos_.at(to);
    if (question_.operation == Operation::kLink) {
      tell_made(core_.link(user_, target, into, question_.new_name));
    } else {
      const bool exchanges = question_.operation == Operation::kExchange;
      tell(core_.rename(user_, directory, question_.name, into, question_.new_name,
                        exchanges ? RenameMode::kExchange : RenameMode::kReplace));
    }
  }

  void call(Ino directory, Ino target) {
    AttributeChange attributes;
    switch (question_.operation) {
      case Operation::kLookup:
      case Operation::kReadVersion:
      case Operation::kRemoveVersion:
        break;
      case Operation::kList:
        return list(target);
      case Operation::kRead:
        return open(target, {.read = true});
      case Operation::kWrite:
        return open(target, {.write = true});
      case Operation::kReadWrite:
        return open(target, {.read = true, .write = true});
      case Operation::kExecute:
        return open(target, {.read = true, .execute = true});
      case Operation::kReadLink:
        tell(core_.readlink(user_, target));
        return;
      case Operation::kCreate:
      case Operation::kMakeDirectory:
      case Operation::kSymlink:
        return make(directory);
      case Operation::kUnlink:
        tell(core_.unlink(user_, directory, question_.name));
        return;
      case Operation::kRemoveDirectory:
        tell(core_.rmdir(user_, directory, question_.name));
        return;
      case Operation::kRename:
      case Operation::kLink:
      case Operation::kExchange:
        return move(directory, target);
      case Operation::kChmod:
        attributes.mode = question_.mode;
        return change(target, attributes);
      case Operation::kChown:
        attributes.uid = question_.uid;
        return change(target, attributes);
      case Operation::kChgrp:
        attributes.gid = question_.gid;
        return change(target, attributes);
      case Operation::kTruncate:
        attributes.size = 2;
        return change(target, attributes);
      case Operation::kTouch:
        attributes.atime_now = attributes.mtime_now = true;
        return change(target, attributes);
      case Operation::kSetTimes:
        attributes.atime = attributes.mtime = kSecond;
        return change(target, attributes);
      case Operation::kGetXattr:
        tell(core_.getxattr(user_, target, "user.note"));
        return;
      case Operation::kSetXattr:
        tell(core_.setxattr(user_, target, "user.note", "y", Core::XattrMode::kSet));
        return;
      case Operation::kRemoveXattr:
        tell(core_.removexattr(user_, target, "user.note"));
        return;
      case Operation::kGetAcl:
        tell(core_.getxattr(user_, target, kAccessAclName));
        return;
      case Operation::kSetAcl:
        tell(core_.setxattr(user_, target, kAccessAclName, xattr_of(question_.acl), Core::XattrMode::kSet));
        return;
      case Operation::kSetDefaultAcl:
        tell(core_.setxattr(user_, target, kDefaultAclName, xattr_of(question_.acl), Core::XattrMode::kSet));
        return;
      case Operation::kAccess:
        tell(core_.access(user_, target, static_cast<int>(question_.mode)));
        return;
    }
  }

  Core& core_;
  WorldInCore& in_;
  const World& world_;
  const Question& question_;
  User user_;
  std::vector<Ino> looked_up_;
  Told told_;
};

Told WorldInCore::ask(const World& world, const Question& question) { return Visit(*this, world, question).ask(); }

}  // namespace pailfs::test
