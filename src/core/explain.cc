#include "core/explain.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/acl.h"
#include "core/decision_text.h"
#include "core/decision_trace.h"
#include "core/explained_walk.h"
#include "core/groups.h"
#include "core/identity_ops.h"
#include "core/path.h"
#include "core/s3_xattrs.h"
#include "core/versions_view.h"

namespace pailfs {

namespace {

using Place = Walk::Place;
using Links = Walk::Links;

template <class T>
Status status_of(const Result<T>& result) {
  if (result) return {};
  return std::unexpected(result.error());
}

// On what is there: one call with its inode.
using OnInode = Status (*)(Core& core, const Caller& caller, const Attributes& object);
// On a name: of something that is there, or that is to be made.
using OnName = Status (*)(Core& core, const Caller& caller, Ino parent, std::string_view name);

struct Known {
  std::string_view name;
  std::string_view help;
  Links links = Links::kFollow;
  OnInode on_inode = nullptr;
  OnName on_name = nullptr;
  bool makes = false;  // the name may be missing
  void (*special)(Walk& walk, const ExplainRequest& request) = nullptr;
  bool takes_target = false;
};

Status open_with(Core& core, const Caller& caller, Ino ino, OpenFlags flags) {
  PAILFS_ASSIGN(const OpenResult opened, core.open(caller, ino, flags));
  core.release(ino, opened.handle);  // of a version
  return {};
}

Status see(Core& core, const Caller& caller, const Attributes& object) {
  return status_of(core.getattr(caller, object.ino));
}

Status list(Core& core, const Caller& caller, const Attributes& object) {
  PAILFS_ASSIGN(const uint64_t handle, core.opendir(caller, object.ino));
  core.releasedir(handle);
  return {};
}

Status change(Core& core, const Caller& caller, const Attributes& object, const AttributeChange& wanted) {
  return status_of(core.setattr(caller, object.ino, wanted));
}

Status give_away(Core& core, const Caller& caller, const Attributes& object) {
  AttributeChange wanted;
  wanted.uid = object.uid == 0 ? 1 : 0;
  return change(core, caller, object, wanted);
}

Status change_group(Core& core, const Caller& caller, const Attributes& object) {
  AttributeChange wanted;
  wanted.gid = caller.gid;
  return change(core, caller, object, wanted);
}

Status choose_times(Core& core, const Caller& caller, const Attributes& object) {
  AttributeChange wanted;
  wanted.atime = wanted.mtime = kSecond;
  return change(core, caller, object, wanted);
}

// vfs_set_acl() of Linux asks before the file system is asked.
Status change_acl(Core& core, const Caller& caller, const Attributes& object) {
  if (caller.uid != 0 && caller.uid != object.uid) {
    return fail(Code::kNotPermitted,
                "the kernel lets only the owner and uid 0 change an ACL, whatever a policy allows");
  }
  return core.removexattr(caller, object.ino, kAccessAclName);
}

Status truncate(Core& core, const Caller& caller, const Attributes& object) {
  AttributeChange wanted;
  wanted.size = 0;
  return change(core, caller, object, wanted);
}

Status read_attribute(Core& core, const Caller& caller, const Attributes& object, std::string_view name) {
  const auto value = core.getxattr(caller, object.ino, name);
  if (!value && value.error().code == Code::kNoData) return {};  // the right is looked at first
  return status_of(value);
}

constexpr std::string_view kAttribute = "user.pail-explain", kTag = "user.s3.tag.pail-explain";

void rename(Walk& walk, const ExplainRequest& request) {
  const auto from = walk.existing(request.path, Links::kStay);
  if (!from) return;
  const auto to = walk.find(*request.to, Links::kStay);
  if (!to) return;
  walk.step("rename", from->path + " to " + to->path, [&] {
    return walk.core().rename(walk.caller(), from->parent, from->name, to->parent, to->name, RenameMode::kReplace);
  });
}

void chmod(Walk& walk, const ExplainRequest& request) {
  const auto place = walk.existing(request.path, Links::kFollow);
  if (!place) return;
  AttributeChange wanted;
  wanted.mode = request.mode.value_or(place->found->mode & 0777);
  walk.step("chmod", place->path, [&] { return change(walk.core(), walk.caller(), *place->found, wanted); });
}

void link(Walk& walk, const ExplainRequest& request) {
  const auto from = walk.existing(request.path, Links::kStay);
  if (!from) return;
  const auto to = walk.find(*request.to, Links::kStay);
  if (!to) return;
  walk.step("link", from->path + " as " + to->path,
            [&] { return status_of(walk.core().link(walk.caller(), from->found->ino, to->parent, to->name)); });
}

// DIR/.versions/NAME of DIR/NAME.
std::string versions_path(const std::string& path) {
  std::vector<std::string> names = split_path(path);
  if (names.size() < 2 || std::ranges::find(names, kVersionsName) != names.end()) return path;
  names.insert(names.end() - 1, std::string(kVersionsName));
  std::string out;
  for (const std::string& name : names) add_name(out, name);
  return out;
}

// A version's place in .versions: as it was given, or the newest one of the path; `older`: that is not current.
std::optional<Place> version_of(Walk& walk, const std::string& path, bool older) {
  const std::string versions = versions_path(path);
  if (versions == path) return walk.existing(path, Links::kStay);
  const size_t slash = path.find('/');
  std::vector<VersionEntry> all;
  const Caller root;
  // Nobody but the account is told what others may list.
  const Caller& asks = walk.tells_all() ? root : walk.caller();
  const auto list = [&]() -> Status {
    PAILFS_ASSIGN(all, walk.core().versions(asks, path.substr(0, slash), path.substr(slash + 1)));
    return {};
  };
  if (!walk.tells_all()) {
    if (!walk.step("versions-list", versions, list)) return std::nullopt;
  } else {
    DecisionTrace trace;
    trace.only_explains = true;
    const TracedDecisions on(trace);
    static_cast<void>(list());
  }
  const auto found = std::ranges::find_if(all, [&](const VersionEntry& one) { return !older || !one.current; });
  if (found != all.end()) return walk.existing(versions + "/" + found->name, Links::kStay);
  return walk.ended("lookup", versions, Code::kNotFound,
                    older ? "there are no older versions" : "there are no versions");
}

void read_version(Walk& walk, const ExplainRequest& request) {
  const auto place = version_of(walk, request.path, false);
  if (!place) return;
  walk.step("version-read", place->path,
            [&] { return open_with(walk.core(), walk.caller(), place->found->ino, {.read = true}); });
}

void remove_version(Walk& walk, const ExplainRequest& request) {
  const auto place = version_of(walk, request.path, true);
  if (!place) return;
  walk.step("version-remove", place->path,
            [&] { return walk.core().unlink(walk.caller(), place->parent, place->name); });
}

void list_versions(Walk& walk, const ExplainRequest& request) {
  const auto place = walk.existing(versions_path(request.path), Links::kStay);
  if (!place) return;
  walk.step("versions-list", place->path, [&] { return list(walk.core(), walk.caller(), *place->found); });
}

const std::vector<Known>& known() {
  using C = Core&;
  using A = const Attributes&;
  using U = const Caller&;
  using N = std::string_view;
  static const std::vector<Known> kAll{
      {.name = "lookup", .help = "get to it by its path", .links = Links::kStay, .on_inode = see},
      {.name = "stat", .help = "see its attributes", .on_inode = see},
      {.name = "list", .help = "list a directory", .on_inode = list},
      {.name = "chdir",
       .help = "make it the working directory",
       .on_inode = [](C core, U caller, A it) { return core.access(caller, it.ino, X_OK); }},
      {.name = "read",
       .help = "open it for reading",
       .on_inode =
           [](C core, U caller, A it) {
             return S_ISDIR(it.mode) ? list(core, caller, it) : open_with(core, caller, it.ino, {.read = true});
           }},
      {.name = "write",
       .help = "open it for writing",
       .on_inode = [](C core, U caller, A it) { return open_with(core, caller, it.ino, {.write = true}); }},
      {.name = "truncate", .help = "change its size, by its path", .on_inode = truncate},
      {.name = "exec",
       .help = "run it",
       .on_inode = [](C core, U caller, A it) { return open_with(core, caller, it.ino, {.execute = true}); }},
      {.name = "create",
       .help = "make a file",
       .links = Links::kStay,
       .on_name = [](C core, U caller, Ino parent,
                     N name) { return status_of(core.create(caller, parent, name, 0600, {.write = true})); },
       .makes = true},
      {.name = "mkdir",
       .help = "make a directory, or a bucket",
       .links = Links::kStay,
       .on_name = [](C core, U caller, Ino parent,
                     N name) { return status_of(core.mkdir(caller, parent, name, 0700)); },
       .makes = true},
      {.name = "symlink",
       .help = "make a symbolic link",
       .links = Links::kStay,
       .on_name = [](C core, U caller, Ino parent,
                     N name) { return status_of(core.symlink(caller, parent, name, "target")); },
       .makes = true},
      {.name = "unlink",
       .help = "remove a file",
       .links = Links::kStay,
       .on_name = [](C core, U caller, Ino parent, N name) { return core.unlink(caller, parent, name); }},
      {.name = "rmdir",
       .help = "remove an empty directory, or bucket",
       .links = Links::kStay,
       .on_name = [](C core, U caller, Ino parent, N name) { return core.rmdir(caller, parent, name); }},
      {.name = "rename", .help = "give it the name TO", .special = rename, .takes_target = true},
      {.name = "link", .help = "give it the further name TO", .special = link, .takes_target = true},
      {.name = "chmod", .help = "change its mode, to --mode", .special = chmod},
      {.name = "setfacl", .help = "change its ACL", .on_inode = change_acl},
      {.name = "chown", .help = "give it to somebody else", .on_inode = give_away},
      {.name = "chgrp", .help = "give it the user's primary group", .on_inode = change_group},
      {.name = "utime", .help = "choose its times", .on_inode = choose_times},
      {.name = "getxattr",
       .help = "read an attribute user.*",
       .on_inode = [](C core, U caller, A it) { return read_attribute(core, caller, it, kAttribute); }},
      {.name = "setxattr",
       .help = "change an attribute user.*",
       .on_inode = [](C core, U caller,
                      A it) { return core.setxattr(caller, it.ino, kAttribute, "", Core::XattrMode::kSet); }},
      {.name = "tag-get",
       .help = "read a tag, user.s3.tag.*",
       .on_inode = [](C core, U caller, A it) { return read_attribute(core, caller, it, kTag); }},
      {.name = "tag-set",
       .help = "give it the tag pail-explain, without a value",
       .on_inode = [](C core, U caller,
                      A it) { return core.setxattr(caller, it.ino, kTag, "", Core::XattrMode::kSet); }},
      {.name = "tag-remove",
       .help = "take a tag away",
       .on_inode = [](C core, U caller, A it) { return core.removexattr(caller, it.ino, kTag); }},
      {.name = "versions-list", .help = "list its versions", .special = list_versions},
      {.name = "version-read", .help = "read its newest version, or that in .versions", .special = read_version},
      {.name = "version-remove",
       .help = "remove its newest older version, or that in .versions",
       .special = remove_version},
      {.name = "policy-get",
       .help = "read the bucket's policy",
       .on_inode = [](C core, U caller,
                      A it) { return status_of(core.getxattr(caller, it.ino, std::string(kPolicyName))); }},
      {.name = "policy-put",
       .help = "change the bucket's policy",
       .on_inode =
           [](C core, U caller, A it) {
             return core.setxattr(caller, it.ino, std::string(kPolicyName), "", Core::XattrMode::kSet);
           }},
  };
  return kAll;
}

// The call that an action of S3 is here, for what is at the path now.
std::string_view call_for(std::string_view action, Core& core, const Caller& looks, const std::string& path) {
  static const std::map<std::string_view, std::string_view> kCalls{
      {"s3:ListAllMyBuckets", "list"},
      {"s3:CreateBucket", "mkdir"},
      {"s3:DeleteBucket", "rmdir"},
      {"s3:ListBucket", "list"},
      {"s3:GetObject", "read"},
      {"s3:PutObject", "write"},
      {"s3:DeleteObject", "unlink"},
      {"s3:PutObjectAcl", "chmod"},
      {"s3:ListBucketVersions", "versions-list"},
      {"s3:GetObjectVersion", "version-read"},
      {"s3:DeleteObjectVersion", "version-remove"},
      {"s3:GetObjectTagging", "tag-get"},
      {"s3:PutObjectTagging", "tag-set"},
      {"s3:DeleteObjectTagging", "tag-remove"},
      {"s3:GetBucketPolicy", "policy-get"},
      {"s3:PutBucketPolicy", "policy-put"},
  };
  const auto found = kCalls.find(action);
  if (found == kCalls.end()) return action;
  if (action != "s3:PutObject" && action != "s3:DeleteObject") return found->second;
  Walk look(core, looks, false);
  const auto place = look.existing(path, Links::kStay);
  if (action == "s3:PutObject") return place ? found->second : "create";
  return place && S_ISDIR(place->found->mode) ? "rmdir" : found->second;
}

void run(Walk& walk, const Known& known, const ExplainRequest& request) {
  if (known.special != nullptr) return known.special(walk, request);
  if (known.on_inode != nullptr) {
    const auto place = walk.existing(request.path, known.links);
    if (!place) return;
    walk.step(known.name, place->path, [&] { return known.on_inode(walk.core(), walk.caller(), *place->found); });
    return;
  }
  const auto place = known.makes ? walk.find(request.path, known.links) : walk.existing(request.path, known.links);
  if (!place) return;
  walk.step(known.name, place->path,
            [&] { return known.on_name(walk.core(), walk.caller(), place->parent, place->name); });
}

}  // namespace

const std::vector<ExplainedOperation>& explained_operations() {
  static const std::vector<ExplainedOperation> kAll = [] {
    std::vector<ExplainedOperation> out;
    for (const Known& one : known()) out.push_back({one.name, one.help, one.takes_target});
    return out;
  }();
  return kAll;
}

Result<Explanation> explain(Core& core, const Caller& asking, const ExplainRequest& request) {
  const bool account = asking.uid == 0 || asking.uid == core.gate().account();
  if (!account && request.uid != asking.uid) {
    return fail(Code::kAccessDenied,
                fmt::format("you are uid {} and may ask about yourself alone: what others may do is for {}", asking.uid,
                            managers_text(core.gate().account())));
  }
  for (const std::string& path : {request.path, request.to.value_or(std::string())}) {
    if (path.size() > kLongestPath) return fail(Code::kNameTooLong, "the path is longer than 4096 bytes");
  }
  GroupList groups(request.groups);
  Caller caller{request.uid, request.gid, 0, 0022, Door::kFuse, &groups};
  caller.principal = core.identities().own(caller);
  caller.principal_known = true;
  // Whether it is there decides how it is called; nobody but the account is told about what he does not see.
  const Caller root;
  const std::string_view call = call_for(request.operation, core, account ? root : caller, request.path);
  const auto found = std::ranges::find(known(), call, &Known::name);
  if (found == known().end()) {
    return fail(Code::kInvalid, fmt::format("'{}' is no operation that is explained: see 'pail explain --help'",
                                            printable(request.operation)));
  }
  if (found->takes_target != request.to.has_value()) {
    return fail(Code::kInvalid, fmt::format("{} {}", call, request.to ? "takes one path" : "takes a second path, TO"));
  }
  if (request.mode && call != "chmod") return fail(Code::kInvalid, "a mode (--mode) is for chmod");
  if (found->on_inode == nullptr && split_path(request.path).empty()) {
    return fail(Code::kInvalid, fmt::format("{} is of something in the store, and not of its root", call));
  }
  if (request.to && split_path(*request.to).empty()) {
    return fail(Code::kInvalid, fmt::format("the second path of {} is something in the store, and not its root", call));
  }
  Walk walk(core, caller, account);
  run(walk, *found, request);
  return walk.explanation();
}

}  // namespace pailfs
