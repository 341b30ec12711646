#include "core/policy_gate.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "core/path.h"
#include "core/time_text.h"
#include "policy/coverage.h"
#include "policy/evaluate.h"

namespace pailfs {

namespace {

constexpr Time kSecond = 1'000'000'000;

// What can be done with an object: who may do any of it knows that it is there.
constexpr std::array<Action, 6> kUses{Action::kGetObject,    Action::kPutObject,        Action::kDeleteObject,
                                      Action::kPutObjectAcl, Action::kGetObjectVersion, Action::kDeleteObjectVersion};
constexpr std::array<std::string_view, 6> kLoweredUses{"s3:getobject",        "s3:putobject",
                                                       "s3:deleteobject",     "s3:putobjectacl",
                                                       "s3:getobjectversion", "s3:deleteobjectversion"};

bool is_of_bucket(Action action) {
  switch (action) {
    case Action::kCreateBucket:
    case Action::kDeleteBucket:
    case Action::kListBucket:
    case Action::kListBucketVersions:
    case Action::kPutBucketVersioning:
    case Action::kPutLifecycleConfiguration:
    case Action::kPutBucketObjectLockConfiguration:
    case Action::kGetBucketPolicy:
    case Action::kPutBucketPolicy:
    case Action::kDeleteBucketPolicy:
    case Action::kGetBucketPublicAccessBlock:
    case Action::kPutBucketPublicAccessBlock:
      return true;
    default:
      return false;
  }
}

bool is_of_policy(Action action) {
  return action == Action::kGetBucketPolicy || action == Action::kPutBucketPolicy ||
         action == Action::kDeleteBucketPolicy;
}

std::string joined(std::string path, std::string_view name) {
  add_name(path, name);
  return path;
}

// What stands in proc(5) for a process's program; empty: not known.
std::string executable_of(uint32_t pid) {
  if (pid == 0) return {};
  std::string target(4096, '\0');
  const ssize_t length = ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), target.data(), target.size());
  if (length <= 0 || static_cast<size_t>(length) == target.size()) return {};
  target.resize(static_cast<size_t>(length));
  return target;
}

// The bucket that a request is about; the store's own scope: none.
Scope bucket_of_request(const AccessRequest& request) {
  if (bucket_of(request.object.ino) == kStoreScope && request.victim != nullptr) return bucket_of(request.victim->ino);
  return bucket_of(request.object.ino);
}

}  // namespace

// Everything that is the same for all keys of a request.
class PolicyGate::Question {
 public:
  using Outcome = policy::Outcome;
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  Question(const PolicyGate& gate, const Caller& caller, Scope bucket, BucketPolicies::PolicyPtr policy)
      : gate_(gate),
        policy_(std::move(policy)),
        principal_(gate.principals_.of(caller.uid, gate.keys_.monotonic())),
        bucket_name_(gate.keys_.bucket_name(bucket)),
        uid_(std::to_string(caller.uid)),
        gid_(std::to_string(caller.gid)),
        door_(caller.door == Door::kFuse ? "fuse" : "control") {
    policies_.bucket = policy_->document.get();
    if (policy_->wants_time) {
      const Time now = gate.keys_.now();
      time_ = format_time(now);
      epoch_ = std::to_string(now / kSecond);
    }
    if (policy_->wants_executable) executable_ = executable_of(caller.pid);
    restricted_ = policy_->is_public && principal_ != nullptr && is_stranger(*principal_) &&
                  gate.public_access_.is_on(PublicSwitch::kRestrictPublicBuckets, bucket);
  }

  // Nobody but the root of the account gets past a policy that cannot be read.
  bool closed() const { return policies_.bucket == nullptr; }
  bool is_root() const { return principal_ != nullptr && principal_->caller.type() == policy::PrincipalType::kRoot; }

  Outcome about_bucket(std::string_view action, const std::string* prefix) {
    return decide(action, fmt::format("arn:aws:s3:::{}", bucket_name_), prefix);
  }
  Outcome about_key(std::string_view action, std::string_view key) {
    return decide(action, fmt::format("arn:aws:s3:::{}/{}", bucket_name_, key), nullptr);
  }

  // Whether there is anything that the caller may do with the key, or with one that begins with it and a slash.
  bool uses(const std::string& key) {
    for (const Action action : kUses) {
      const Outcome outcome = about_key(action_name(action), key);
      // What nothing denies to root he may do by the ACL.
      if (outcome == Outcome::kAllow || (is_root() && outcome != Outcome::kExplicitDeny)) return true;
    }
    return uses_below(key);
  }
  bool uses_below(const std::string& directory) {
    if (closed() || is_root() || principal_ == nullptr)
      return false;  // what is not denied to him he may use: about_key() said so
    if (restricted_) return false;
    const policy::Context context = make_context("s3:GetObject", nullptr);
    return policy::may_allow_below(policies_, principal_->caller, kLoweredUses, below(directory), context);
  }
  bool alike_below(const std::string& directory) {
    if (closed() || principal_ == nullptr) return true;
    const policy::Context context = make_context("s3:PutObject", nullptr);
    return policy::decides_alike_below(policies_, principal_->caller, kLoweredUses, below(directory), context);
  }

  // Whether a new key lets do what the old ones do not, as far as policies go.
  bool gains(Action action, const std::vector<std::string>& old_keys, const std::string& new_key) {
    const Outcome after = about_key(action_name(action), new_key);
    if (after == Outcome::kExplicitDeny) return false;
    bool allowed = false;
    for (const std::string& key : old_keys) {
      const Outcome before = about_key(action_name(action), key);
      if (before == Outcome::kExplicitDeny) return true;
      allowed |= before == Outcome::kAllow;
    }
    return after == Outcome::kAllow && !allowed;
  }

  // Whether something in the bucket is denied: for what has no key any more.
  bool denied_somewhere(std::string_view action, const std::string& directory) {
    if (closed() || principal_ == nullptr) return !is_root();
    const policy::Context context = make_context(action, nullptr);
    std::string lowered(action);
    std::ranges::transform(lowered, lowered.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return policy::may_deny_below(policies_, principal_->caller, lowered, below(directory), context);
  }
  // Whether what may be listed is told apart by prefixes.
  bool listings_differ() {
    constexpr std::array<std::string_view, 2> kListings{"s3:listbucket", "s3:listbucketversions"};
    return !closed() && principal_ != nullptr &&
           policy::denies_by(policies_, principal_->caller, kListings, "s3:prefix");
  }

  // To list the directory that has this path.
  Outcome listing(const std::string& directory) {
    const std::string prefix = directory.empty() ? std::string() : directory + "/";
    return about_bucket("s3:ListBucket", &prefix);
  }

  // To look a name of the directory up.
  Answer visible(const std::string& directory, const std::string& key, const AclAllows& acl) {
    const Outcome listed = listing(directory);
    if (listed == Outcome::kAllow) return Answer::kAllow;
    if (listed == Outcome::kImplicitDeny && acl && acl()) return Answer::kSilent;
    if (uses(key)) return Answer::kAllow;
    if (listed == Outcome::kExplicitDeny) return Answer::kHidden;
    const std::string as_directory = key + "/";
    for (const std::string* prefix : {&key, &as_directory}) {
      if (about_bucket("s3:ListBucket", prefix) == Outcome::kAllow) return Answer::kAllow;
    }
    return Answer::kSilent;
  }

 private:
  std::string below(const std::string& directory) const {
    return directory.empty() ? bucket_name_ + "/" : fmt::format("{}/{}/", bucket_name_, directory);
  }

  policy::Context make_context(std::string_view action, const std::string* prefix) const {
    policy::Context context;
    if (principal_ != nullptr) {
      context.add("aws:principaltype", principal_->type);
      if (!principal_->caller.arn().empty()) context.add("aws:principalarn", principal_->caller.arn());
      if (!principal_->username.empty()) context.add("aws:username", principal_->username);
      context.add("aws:userid", principal_->userid.empty() ? std::string_view("anonymous") : principal_->userid);
    }
    context.add("aws:securetransport", "true");  // nothing of it leaves the machine
    context.add("aws:sourceip", "127.0.0.1");
    context.add("pail:uid", uid_);
    context.add("pail:gid", gid_);
    context.add("pail:door", door_);
    if (!time_.empty()) {
      context.add("aws:currenttime", time_);
      context.add("aws:epochtime", epoch_);
    }
    if (!executable_.empty()) context.add("pail:executable", executable_);
    if (prefix != nullptr) {
      context.add("s3:prefix", *prefix);
      context.add("s3:delimiter", "/");
    }
    if (action == "s3:PutObject") {
      context.add("s3:x-amz-server-side-encryption", "AES256");  // what every object here is under
      context.add("s3:x-amz-storage-class", "STANDARD");
    }
    return context;
  }

  Outcome decide(std::string_view action, const std::string& resource, const std::string* prefix) {
    if (closed() || principal_ == nullptr) return is_root() ? Outcome::kImplicitDeny : Outcome::kExplicitDeny;
    const policy::Context context = make_context(action, prefix);
    const policy::Request request{.caller = principal_->caller,
                                  .account = gate_.principals_.account_id(),
                                  .action = action,
                                  .resource = resource,
                                  .context = context};
    const policy::Decision decision = policy::evaluate(policies_, request);
    // The root may do everything in S3's eyes; here what the policy does not speak of is for the ACL.
    if (decision.ground == policy::Ground::kRoot) return Outcome::kImplicitDeny;
    if (restricted_ && decision.outcome == Outcome::kAllow) return Outcome::kImplicitDeny;
    return decision.outcome;
  }

  // "[…] only AWS service principals and authorized users within the bucket owner's account" (RestrictPublicBuckets).
  bool is_stranger(const Principals::Principal& principal) const {
    using policy::PrincipalType;
    if (principal.caller.type() == PrincipalType::kService) return false;
    return principal.caller.account() != gate_.principals_.account_id();
  }

  const PolicyGate& gate_;
  const BucketPolicies::PolicyPtr policy_;
  const Principals::PrincipalPtr principal_;
  const std::string bucket_name_, uid_, gid_;
  const std::string_view door_;
  std::string time_, epoch_, executable_;
  bool restricted_ = false;  // what a public policy allows does not count for the caller
  policy::Policies policies_;
};

Result<PolicyGate::Answer> PolicyGate::answer(const AccessRequest& request, const AclAllows& acl) const {
  const Scope bucket = bucket_of_request(request);
  BucketPolicies::PolicyPtr policy = policies_.of(bucket);
  if (policy == nullptr || request.caller.door == Door::kInternal) return Answer::kSilent;
  using Outcome = policy::Outcome;
  Question question(*this, request.caller, bucket, std::move(policy));
  const auto answer_of = [](Outcome outcome) {
    if (outcome == Outcome::kAllow) return Answer::kAllow;
    return outcome == Outcome::kExplicitDeny ? Answer::kDeny : Answer::kSilent;
  };
  // What has no name any more had one that may be denied. What has one that is not known, by damage, is for root.
  const auto without_key = [&] {
    if (question.denied_somewhere(action_name(request.action), {})) return Answer::kDeny;
    return request.object.nlink == 0 || question.is_root() ? Answer::kSilent : Answer::kDeny;
  };
  const Ino ino = request.object.ino;
  const bool root_of_store = bucket_of(ino) == kStoreScope;  // buckets are made and removed there
  const bool root_of_bucket = !root_of_store && ino == bucket_root(bucket);

  if (request.action == Action::kListBucket || request.action == Action::kListBucketVersions) {
    if (root_of_store) return Answer::kSilent;
    const bool versions = request.action == Action::kListBucketVersions;
    if (!request.name.empty() && !versions) {
      PAILFS_ASSIGN(const std::string path, keys_.path_of(ino));
      return question.visible(path, joined(path, request.name), acl);
    }
    if (request.need == Need::kNothing && !versions) {  // stat(2) of what was looked up
      if (root_of_bucket) return Answer::kSilent;
      PAILFS_ASSIGN(const auto keys, keys_.keys_of(ino));
      if (keys.empty()) return without_key();
      Answer best = Answer::kHidden;
      for (const std::string& key : keys) {
        const size_t slash = key.rfind('/');
        const Answer one = question.visible(slash == key.npos ? std::string() : key.substr(0, slash), key, acl);
        if (one == Answer::kAllow) return one;
        if (one == Answer::kSilent) best = one;
      }
      return best;
    }
    std::vector<std::string> directories(request.keys.begin(), request.keys.end());
    if (const auto path = keys_.path_of(ino)) {
      directories.push_back(*path);
    } else if (path.error().code != Code::kNotFound) {
      return std::unexpected(path.error());
    }
    bool allowed = false;
    for (const std::string& directory : directories) {
      const std::string prefix = directory.empty() ? std::string() : directory + "/";
      const Outcome outcome = question.about_bucket(action_name(request.action), &prefix);
      const bool uses = outcome != Outcome::kAllow && !versions && question.uses_below(directory);
      if (outcome == Outcome::kExplicitDeny && !uses) return Answer::kDeny;
      allowed |= outcome == Outcome::kAllow || uses;
    }
    return allowed ? Answer::kAllow : Answer::kSilent;
  }
  if (is_of_bucket(request.action)) {
    if (is_of_policy(request.action) && question.is_root()) return Answer::kAllow;
    return answer_of(question.about_bucket(action_name(request.action), nullptr));
  }
  if (root_of_store) return Answer::kSilent;
  if (root_of_bucket && request.name.empty() && request.keys.empty() && request.action == Action::kPutObjectAcl) {
    return answer_of(question.about_bucket("s3:PutBucketAcl", nullptr));
  }
  std::vector<std::string> keys(request.keys.begin(), request.keys.end());
  if (keys.empty() && !request.name.empty()) {
    PAILFS_ASSIGN(const std::string path, keys_.path_of(ino));
    keys.push_back(joined(path, request.name));
  } else if (keys.empty() && root_of_bucket) {
    keys.emplace_back();
  } else if (keys.empty()) {
    PAILFS_ASSIGN(keys, keys_.keys_of(ino));
    if (keys.empty()) {
      const Answer unknown = without_key();
      if (unknown != Answer::kSilent) return unknown;
      keys.emplace_back();
    }
  }
  bool allowed = false;
  for (const std::string& key : keys) {
    const Outcome outcome = question.about_key(action_name(request.action), key);
    if (outcome == Outcome::kExplicitDeny) return Answer::kDeny;
    allowed |= outcome == Outcome::kAllow;
  }
  return allowed ? Answer::kAllow : Answer::kSilent;
}

Result<PolicyGate::Answer> PolicyGate::lists(const Caller& caller, Ino directory) const {
  BucketPolicies::PolicyPtr policy = policies_.of(bucket_of(directory));
  if (policy == nullptr || caller.door == Door::kInternal) return Answer::kSilent;
  Question question(*this, caller, bucket_of(directory), std::move(policy));
  PAILFS_ASSIGN(const std::string path, keys_.path_of(directory));
  const policy::Outcome outcome = question.listing(path);
  if (outcome == policy::Outcome::kAllow) return Answer::kAllow;
  return outcome == policy::Outcome::kExplicitDeny ? Answer::kDeny : Answer::kSilent;
}

Status PolicyGate::check_tree(const Caller& caller, Ino from, std::string_view name, Ino to,
                              std::string_view new_name) const {
  BucketPolicies::PolicyPtr policy = policies_.of(bucket_of(from));
  if (policy == nullptr || caller.door == Door::kInternal) return {};
  Question question(*this, caller, bucket_of(from), std::move(policy));
  PAILFS_ASSIGN(const std::string from_path, keys_.path_of(from));
  PAILFS_ASSIGN(const std::string to_path, keys_.path_of(to));
  const std::string old_directory = joined(from_path, name), new_directory = joined(to_path, new_name);
  if (!question.alike_below(old_directory) || !question.alike_below(new_directory) || question.listings_differ()) {
    return fail(Code::kCrossDevice, "policies decide differently about what is below the directory");
  }
  // Any key below stands for all of them.
  const std::string old_key = old_directory + "/x", new_key = new_directory + "/x";
  if (question.about_key("s3:DeleteObject", old_key) == policy::Outcome::kExplicitDeny ||
      question.about_key("s3:PutObject", new_key) == policy::Outcome::kExplicitDeny) {
    return fail(Code::kAccessDenied, "a policy denies it for what is below the directory");
  }
  for (const Action action : kUses) {
    if (action == Action::kDeleteObject) continue;
    if (question.gains(action, {old_key}, new_key) || question.gains(action, {old_directory}, new_directory)) {
      return fail(Code::kCrossDevice, "policies allow more below the new name than below the old one");
    }
  }
  return {};
}

Status PolicyGate::check_whole(const Caller& caller, Scope bucket, const std::string& directory, Action action) const {
  BucketPolicies::PolicyPtr policy = policies_.of(bucket);
  if (policy == nullptr || caller.door == Door::kInternal) return {};
  Question question(*this, caller, bucket, std::move(policy));
  const std::string_view name = action_name(action);
  const bool itself = !directory.empty() && question.about_key(name, directory) == policy::Outcome::kExplicitDeny;
  if (!itself && !question.denied_somewhere(name, directory)) return {};
  return fail(Code::kAccessDenied, fmt::format("the bucket's policy denies {} for some of it", name));
}

Result<std::vector<Action>> PolicyGate::gained(const Caller& caller, Ino ino, Ino directory,
                                               std::string_view name) const {
  std::vector<Action> actions;
  const Scope bucket = bucket_of(directory);
  BucketPolicies::PolicyPtr policy = policies_.of(bucket);
  if (policy == nullptr || caller.door == Door::kInternal) return actions;
  Question question(*this, caller, bucket, std::move(policy));
  PAILFS_ASSIGN(const std::string path, keys_.path_of(directory));
  PAILFS_ASSIGN(const auto keys, keys_.keys_of(ino));
  const std::string key = joined(path, name);
  for (const Action action : kUses) {
    if (question.gains(action, keys, key)) actions.push_back(action);
  }
  return actions;
}

}  // namespace pailfs
