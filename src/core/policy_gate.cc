#include "core/policy_gate.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/decision_trace.h"
#include "core/object_tags.h"
#include "core/path.h"
#include "core/policy_question.h"
#include "policy/coverage.h"
#include "policy/evaluate.h"
#include "policy/letters.h"

namespace pailfs {

namespace {

bool is_of_policy(Action action) {
  return action == Action::kGetBucketPolicy || action == Action::kPutBucketPolicy ||
         action == Action::kDeleteBucketPolicy;
}

std::string joined(std::string path, std::string_view name) {
  add_name(path, name);
  return path;
}

// The bucket that a request is about; the store's own scope: none.
Scope bucket_of_request(const AccessRequest& request) {
  if (bucket_of(request.object.ino) == kStoreScope && request.victim != nullptr) return bucket_of(request.victim->ino);
  return bucket_of(request.object.ino);
}

// How much of a bucket, given by its name, a statement is about.
bool is_about_bucket(const policy::Statement& statement, const std::string& name) {
  const policy::Context nothing;
  // Variables, which are not known here, may stand for anything.
  if (std::ranges::any_of(statement.resources, [](const policy::ArnPattern& it) { return !it.keys().empty(); })) {
    return true;
  }
  if (policy::coverage_below(statement, name + "/", nothing) != policy::Coverage::kNone) return true;
  const std::string arn = "arn:aws:s3:::" + name;
  const policy::Arn bucket(arn);
  const bool named = std::ranges::any_of(statement.resources, [&](const policy::ArnPattern& it) {
    return it.matches(bucket, nothing) != policy::Match::kNo;
  });
  return named != statement.not_resource;
}

}  // namespace

bool PolicyGate::Asker::keeps() const {
  if (principal == nullptr || TracedDecisions::current != nullptr) return false;
  if (policy != nullptr && policy->document == nullptr) return false;
  const Wanted all = wants();
  return !all.time && !all.executable && !all.tags;
}

Wanted PolicyGate::Asker::wants() const {
  Wanted out;
  if (principal != nullptr) out |= principal->wants;
  if (policy != nullptr) out |= policy->wants;
  return out;
}

bool PolicyGate::looks_spoken_of(Scope bucket) const {
  const DirectoryPtr directory = identities_.directory();
  if (directory->damaged) return true;
  if (bucket == kStoreScope) return directory->policies;
  const std::string name = keys_.bucket_name(bucket);
  if (name.empty()) return true;  // its record cannot be read
  const auto speaks = [&](const AttachedPolicies::One& one) {
    if (one.policy == nullptr || one.policy->document == nullptr) return true;
    return std::ranges::any_of(one.policy->document->statements(),
                               [&](const policy::Statement& statement) { return is_about_bucket(statement, name); });
  };
  return std::ranges::any_of(directory->all, [&](const auto& entry) {
    const Identity& identity = *entry.second;
    if (identity.kind == IdentityKind::kManagedPolicy || identity.kind == IdentityKind::kService) return false;
    const AttachedPolicies policies = directory->policies_of(identity);
    return policies.unreadable || std::ranges::any_of(policies.identity, speaks) ||
           (policies.boundary && speaks(*policies.boundary));
  });
}

bool PolicyGate::is_spoken_of(Scope bucket) const {
  if (!identities_.any()) return false;
  const uint64_t generation = identities_.generation();
  if (bucket >= kSpokenOf) return looks_spoken_of(bucket);
  std::atomic<uint64_t>& known = spoken_of_[bucket];
  const uint64_t held = known.load(std::memory_order_acquire);
  if (held >> 1 == generation) return (held & 1) != 0;
  const bool answer = looks_spoken_of(bucket);
  known.store(generation << 1 | (answer ? 1 : 0), std::memory_order_release);
  return answer;
}

std::optional<PolicyGate::Asker> PolicyGate::asker(const Caller& caller, Scope bucket) const {
  if (caller.door == Door::kInternal || !any()) return std::nullopt;
  StoredPolicyPtr policy = policies_.of(bucket);
  if (policy == nullptr && !is_spoken_of(bucket)) return std::nullopt;
  return Asker{caller.principal_known ? caller.principal : principals_.of(caller, keys_.monotonic()),
               std::move(policy)};
}

std::optional<PolicyGate::Question> PolicyGate::question(const Caller& caller, Scope bucket) const {
  auto asking = asker(caller, bucket);
  if (!asking) return std::nullopt;
  return Question(*this, caller, bucket, std::move(*asking));
}

namespace {

PolicyGate::Answer answer_of(policy::Outcome outcome) {
  if (outcome == policy::Outcome::kAllow) return PolicyGate::Answer::kAllow;
  return outcome == policy::Outcome::kExplicitDeny ? PolicyGate::Answer::kDeny : PolicyGate::Answer::kSilent;
}

Decisions::Key key_of(const AccessRequest& request, const Principal& principal, Decisions::About about) {
  return {.ino = request.object.ino,
          .principal = principal.serial,
          .uid = request.caller.uid,
          .gid = request.caller.gid,
          .about = about,
          .action = request.action,
          .need = about == Decisions::About::kObject ? request.need : Need::kNothing,
          .door = request.caller.door};
}

}  // namespace

Result<PolicyGate::Answer> PolicyGate::answer(const AccessRequest& request, const AclAllows& acl) const {
  const Scope bucket = bucket_of_request(request);
  const Decisions::Moment begun = decisions_.begin(request.object.ino);
  auto asking = asker(request.caller, bucket);
  if (!asking) return Answer::kSilent;
  const bool of_store = bucket_of(request.object.ino) == kStoreScope;
  const bool named = !request.name.empty() && !of_store;
  if (named && request.action == Action::kListBucket) return answer_lookup(request, std::move(*asking), begun, acl);
  if (named && request.keys.empty() && !is_of_bucket(request.action)) {
    return answer_child(request, std::move(*asking), begun);
  }
  const bool keeps = asking->keeps() && request.keys.empty() && request.name.empty() && request.conditions.empty() &&
                     !of_store && request.object.nlink > 0 && !is_virtual(request.object.ino);
  const auto key = keeps ? std::optional(key_of(request, *asking->principal, Decisions::About::kObject)) : std::nullopt;
  if (key) {
    if (const auto kept = decisions_.find(*key)) return static_cast<Answer>(*kept);
  }
  Question question(*this, request.caller, bucket, std::move(*asking));
  question.set_conditions(request.conditions);
  PAILFS_TRY(question.set_tags_for(request));
  PAILFS_ASSIGN(const Answer answer, answer_object(request, question, acl));
  if (key) decisions_.keep(*key, begun, static_cast<uint8_t>(answer));
  return answer;
}

Result<PolicyGate::Answer> PolicyGate::answer_lookup(const AccessRequest& request, Asker asker, Decisions::Moment begun,
                                                     const AclAllows& acl) const {
  using Outcome = policy::Outcome;
  const Ino directory = request.object.ino;
  const auto key =
      asker.keeps() ? std::optional(key_of(request, *asker.principal, Decisions::About::kListing)) : std::nullopt;
  std::optional<uint8_t> kept;
  if (key) kept = decisions_.find(*key);
  if (kept) {
    if (const auto settled = Question::by_listing(static_cast<Outcome>(*kept), acl)) return *settled;
  }
  Question question(*this, request.caller, bucket_of(directory), std::move(asker));
  PAILFS_ASSIGN(const std::string path, keys_.path_of(directory));
  const Outcome listed = kept ? static_cast<Outcome>(*kept) : question.listing(path);
  if (key && !kept) decisions_.keep(*key, begun, static_cast<uint8_t>(listed));
  if (!kept) {
    if (const auto settled = Question::by_listing(listed, acl)) return *settled;
  }
  PAILFS_TRY(question.set_tags_for(request));
  return question.by_key(listed, joined(path, request.name), request.need == Need::kRead);
}

// What is to be made in a directory, or removed from it. Most statements are about all that is in a directory, or about
// nothing in it: then one decision is that of every name.
Result<PolicyGate::Answer> PolicyGate::answer_child(const AccessRequest& request, Asker asker,
                                                    Decisions::Moment begun) const {
  constexpr uint8_t kByName = 255;
  const Ino directory = request.object.ino;
  const auto key =
      asker.keeps() ? std::optional(key_of(request, *asker.principal, Decisions::About::kChildren)) : std::nullopt;
  std::optional<uint8_t> kept;
  if (key) kept = decisions_.find(*key);
  if (kept && *kept != kByName) return static_cast<Answer>(*kept);
  Question question(*this, request.caller, bucket_of(directory), std::move(asker));
  PAILFS_TRY(question.set_tags_for(request));
  PAILFS_ASSIGN(const std::string path, keys_.path_of(directory));
  const std::string_view action = action_name(request.action);
  const Answer answer = answer_of(question.about_key(action, joined(path, request.name)));
  if (key && !kept) {
    const std::string lowered_action = policy::lowered(action);
    const std::string_view actions[] = {lowered_action};
    const bool alike = question.alike_below(path, actions);
    decisions_.keep(*key, begun, alike ? static_cast<uint8_t>(answer) : kByName);
  }
  return answer;
}

// In the list of buckets: their names are no secret to who knows them.
PolicyGate::Answer PolicyGate::answer_store(const AccessRequest& request, Question& question) const {
  switch (request.action) {
    case Action::kListAllMyBuckets:
      return answer_of(question.about_store(action_name(request.action), "*"));
    case Action::kListBucket:
      if (request.need != Need::kRead) return Answer::kSilent;
      return answer_of(question.about_store("s3:ListAllMyBuckets", "*"));
    case Action::kCreateBucket:
      return answer_of(question.about_store(action_name(request.action), fmt::format("arn:aws:s3:::{}", request.name)));
    case Action::kDeleteBucket:
      return answer_of(question.about_bucket(action_name(request.action), nullptr));
    case Action::kGetAccountPublicAccessBlock:
    case Action::kPutAccountPublicAccessBlock:
      return answer_of(question.about_store(action_name(request.action), "*"));
    default:
      return Answer::kSilent;
  }
}

// stat(2) of what was looked up: by any of its names.
Result<PolicyGate::Answer> PolicyGate::answer_stat(const AccessRequest& request, Question& question,
                                                   const AclAllows& acl) const {
  PAILFS_ASSIGN(const auto keys, keys_.keys_of(request.object.ino));
  Answer best = Answer::kHidden;
  for (const std::string& key : keys) {
    const size_t slash = key.rfind('/');
    const std::string directory = slash == std::string::npos ? std::string() : key.substr(0, slash);
    const Answer one = question.visible(question.listing(directory), key, acl);
    if (one == Answer::kAllow) return one;
    if (one == Answer::kSilent) best = one;
  }
  return best;
}

Result<PolicyGate::Answer> PolicyGate::answer_listing(const AccessRequest& request, Question& question) const {
  using Outcome = policy::Outcome;
  const bool versions = request.action == Action::kListBucketVersions;
  std::vector<std::string> directories(request.keys.begin(), request.keys.end());
  if (const auto path = keys_.path_of(request.object.ino)) {
    directories.push_back(*path);
  } else if (path.error().code != Code::kNotFound) {
    return std::unexpected(path.error());
  }
  const bool lists =
      request.need == Need::kRead || (request.need == Need::kPermissions && (request.permissions & 4) != 0);
  bool allowed = false;
  for (const std::string& directory : directories) {
    const std::string prefix = directory.empty() ? std::string() : directory + "/";
    const Outcome outcome = question.about_bucket(action_name(request.action), &prefix);
    const bool uses = outcome != Outcome::kAllow && !versions && question.uses_below(directory, lists);
    if (outcome == Outcome::kExplicitDeny && !uses) return Answer::kDeny;
    allowed |= outcome == Outcome::kAllow || uses;
  }
  return allowed ? Answer::kAllow : Answer::kSilent;
}

Result<PolicyGate::Answer> PolicyGate::answer_object(const AccessRequest& request, Question& question,
                                                     const AclAllows& acl) const {
  using Outcome = policy::Outcome;
  const Ino ino = request.object.ino;
  if (bucket_of(ino) == kStoreScope) return answer_store(request, question);
  const bool root_of_bucket = ino == bucket_root(bucket_of(ino));
  const std::string_view action = action_name(request.action);
  // What has no name any more had one that may be denied. What has one that is not known, by damage, is for root.
  const auto without_key = [&] {
    if (question.denied_somewhere(action, {})) return Answer::kDeny;
    return request.object.nlink == 0 || question.is_root() ? Answer::kSilent : Answer::kDeny;
  };
  if (request.action == Action::kListBucket && request.need == Need::kNothing) {
    if (root_of_bucket) return Answer::kSilent;
    PAILFS_ASSIGN(const auto keys, keys_.keys_of(ino));
    return keys.empty() ? without_key() : answer_stat(request, question, acl);
  }
  if (request.action == Action::kListBucket || request.action == Action::kListBucketVersions) {
    return answer_listing(request, question);
  }
  if (is_of_bucket(request.action)) {
    if (is_of_policy(request.action) && question.is_root()) return Answer::kAllow;
    return answer_of(question.about_bucket(action, nullptr));
  }
  if (root_of_bucket && request.name.empty() && request.keys.empty() && request.action == Action::kPutObjectAcl) {
    return answer_of(question.about_bucket("s3:PutBucketAcl", nullptr));
  }
  std::vector<std::string> keys(request.keys.begin(), request.keys.end());
  if (keys.empty() && root_of_bucket) {
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
    const Outcome outcome = question.about_key(action, key);
    if (outcome == Outcome::kExplicitDeny) return Answer::kDeny;
    allowed |= outcome == Outcome::kAllow;
  }
  return allowed ? Answer::kAllow : Answer::kSilent;
}

Result<PolicyGate::Answer> PolicyGate::lists(const Caller& caller, Ino directory) const {
  auto asked = question(caller, bucket_of(directory));
  if (!asked) return Answer::kSilent;
  if (directory == kRootIno) return answer_of(asked->about_store("s3:ListAllMyBuckets", "*"));
  PAILFS_ASSIGN(const std::string path, keys_.path_of(directory));
  return answer_of(asked->listing(path));
}

Status PolicyGate::check_tree(const Caller& caller, Ino from, std::string_view name, Ino to,
                              std::string_view new_name) const {
  auto asked = question(caller, bucket_of(from));
  if (!asked) return {};
  PAILFS_ASSIGN(const std::string from_path, keys_.path_of(from));
  PAILFS_ASSIGN(const std::string to_path, keys_.path_of(to));
  const std::string old_directory = joined(from_path, name), new_directory = joined(to_path, new_name);
  PAILFS_TRY(
      asked->set_tags_of_name(from, name));  // of the directory; below it they decide nothing, or it is not alike
  if (!asked->alike_below(old_directory) || !asked->alike_below(new_directory) ||
      asked->listings_differ(old_directory)) {
    return fail(Code::kCrossDevice, "policies decide differently about what is below the directory");
  }
  // Any key below stands for all of them.
  const std::string old_key = old_directory + "/x", new_key = new_directory + "/x";
  if (asked->about_key("s3:DeleteObject", old_key) == policy::Outcome::kExplicitDeny ||
      asked->about_key("s3:PutObject", new_key) == policy::Outcome::kExplicitDeny) {
    return fail(Code::kAccessDenied, "a policy denies it for what is below the directory");
  }
  for (const Action action : kGains) {
    if (action == Action::kDeleteObject) continue;
    if (asked->gains(action, {old_key}, new_key) || asked->gains(action, {old_directory}, new_directory) ||
        asked->ends_denial(action, {old_key}, new_key) || asked->ends_denial(action, {old_directory}, new_directory)) {
      return fail(Code::kCrossDevice, "policies allow more below the new name than below the old one");
    }
  }
  if (asked->begins_denial(Action::kPutObjectTagging, {old_key}, new_key) ||
      asked->begins_denial(Action::kPutObjectTagging, {old_directory}, new_directory)) {
    return fail(Code::kCrossDevice, "a policy denies tags below the new name that it does not below the old one");
  }
  return {};
}

Status PolicyGate::check_whole(const Caller& caller, Scope bucket, const std::string& directory, Action action) const {
  auto asked = question(caller, bucket);
  if (!asked) return {};
  const std::string_view name = action_name(action);
  const bool itself = !directory.empty() && asked->about_key(name, directory) == policy::Outcome::kExplicitDeny;
  if (!itself && !asked->denied_somewhere(name, directory)) return {};
  return fail(Code::kAccessDenied, fmt::format("a policy denies {} for some of it", name));
}

Result<std::vector<Action>> PolicyGate::gained(const Caller& caller, Ino ino, Ino directory,
                                               std::string_view name) const {
  std::vector<Action> actions;
  auto asked = question(caller, bucket_of(directory));
  if (!asked) return actions;
  PAILFS_ASSIGN(const std::string path, keys_.path_of(directory));
  PAILFS_ASSIGN(const auto keys, keys_.keys_of(ino));
  PAILFS_TRY(asked->set_tags({.ino = ino}));
  const std::string key = joined(path, name);
  PAILFS_ASSIGN(const ObjectTags tags, keys_.tags_of({.ino = ino}));
  const TagRequest carried(tags);
  asked->set_conditions(carried.conditions());
  if (!tags.empty() && asked->denies_only_new(Action::kPutObjectTagging, keys, key)) {
    return fail(Code::kAccessDenied, "a policy denies the tags that it has by the new name, and not by the old one");
  }
  asked->set_conditions({});
  for (const Action action : kGains) {
    if (asked->ends_denial(action, keys, key)) {
      return fail(Code::kAccessDenied, "a policy denies by the old name what it does not by the new one");
    }
    if (asked->gains(action, keys, key)) actions.push_back(action);
  }
  return actions;
}

}  // namespace pailfs
