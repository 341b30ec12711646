#include "core/policy_question.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "policy/letters.h"

namespace pailfs {

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
    case Action::kPutBucketOwnershipControls:
    case Action::kGetBucketOwnershipControls:
    case Action::kGetBucketPublicAccessBlock:
    case Action::kPutBucketPublicAccessBlock:
      return true;
    default:
      return false;
  }
}

PolicyGate::Question::Question(const PolicyGate& gate, const Caller& caller, Scope bucket, Asker asker)
    : gate_(gate),
      wants_(asker.wants()),
      principal_(std::move(asker.principal)),
      policy_(std::move(asker.policy)),
      bucket_name_(bucket == kStoreScope ? std::string() : gate.keys_.bucket_name(bucket)),
      facts_(principal_.get(), gate.principals_.account_id(), caller.uid, caller.gid, caller.door) {
  if (policy_ != nullptr) policies_.bucket = policy_->document.get();
  if (principal_ != nullptr) {
    policies_.identity = principal_->documents;
    policies_.boundary = principal_->boundary();
  }
  if (wants_.time) facts_.set_time(gate.keys_.now());
  if (wants_.executable) facts_.set_executable(caller.pid);
  restricted_ = policy_ != nullptr && policy_->is_public && principal_ != nullptr && is_stranger(*principal_) &&
                gate.public_access_.is_on(PublicSwitch::kRestrictPublicBuckets, bucket);
}

Status PolicyGate::Question::set_tags(const TagsOf& object) {
  tags_.clear();
  if (!wants_.tags || object.ino == 0) return {};
  PAILFS_ASSIGN(tags_, gate_.keys_.tags_of(object));
  for (auto& [key, value] : tags_) key = std::string(kExistingTagKeys) + policy::lowered(key);
  return {};
}

Status PolicyGate::Question::set_tags_for(const AccessRequest& request) {
  if (!wants_.tags) return {};
  if (request.tags.ino != 0) return set_tags(request.tags);
  if (!request.keys.empty() || is_virtual(request.object.ino)) return {};
  // What is asked about a bucket goes by no tags, but for names that are looked up.
  const bool looks = request.action == Action::kListBucket && (request.need != Need::kRead || !request.name.empty());
  if (is_of_bucket(request.action) && !looks) return {};
  if (const Attributes* known = request.name.empty() ? &request.object : request.victim; known != nullptr) {
    leaf_ = S_ISREG(known->mode);
    return set_tags({.ino = known->ino});
  }
  return set_tags_of_name(request.object.ino, request.name);
}

Status PolicyGate::Question::set_tags_of_name(Ino directory, std::string_view name) {
  if (!wants_.tags) return {};
  PAILFS_ASSIGN(const Keys::Named named, gate_.keys_.find(directory, name));
  leaf_ = named.ino != 0 && !named.is_directory;
  return set_tags({.ino = named.ino});
}

bool PolicyGate::Question::uses(const std::string& key, bool listed) {
  for (const Action action : listed ? std::span<const Action>(kShows) : std::span<const Action>(kUses)) {
    const Outcome outcome = about_key(action_name(action), key);
    // What nothing denies to root he may do by the ACL.
    if (outcome == Outcome::kAllow || (is_root() && outcome != Outcome::kExplicitDeny)) return true;
  }
  return !leaf_ && uses_below(key, listed);
}

bool PolicyGate::Question::uses_below(const std::string& directory, bool listed) {
  if (closed() || is_root() || principal_ == nullptr)
    return false;  // what is not denied to him he may use: about_key() said so
  if (restricted_) return false;
  const policy::Context context = make_context("s3:GetObject", nullptr);
  const auto actions =
      listed ? std::span<const std::string_view>(kLoweredShows) : std::span<const std::string_view>(kLoweredUses);
  const bool uses = policy::may_allow_below(policies_, principal_->caller, actions, below(directory), context);
  if (uses) trace_below("s3:*", directory, Outcome::kAllow, "policies may allow to use something there");
  return uses;
}

bool PolicyGate::Question::gains(Action action, const std::vector<std::string>& old_keys, const std::string& new_key) {
  const Outcome after = about_key(action_name(action), new_key);
  if (after == Outcome::kExplicitDeny) return false;
  bool allowed = false;
  for (const std::string& key : old_keys) {
    const Outcome before = about_key(action_name(action), key);
    if (before == Outcome::kExplicitDeny) return true;
    allowed |= before == Outcome::kAllow;
  }
  if (after == Outcome::kAllow) return !allowed;
  if (allowed || closed() || principal_ == nullptr) return false;
  const policy::Context context = object_context(action_name(action));
  const std::string lowered_action = policy::lowered(action_name(action)), to = arn_of(new_key);
  return std::ranges::all_of(old_keys, [&](const std::string& key) {
    return policy::allowance_by_begins(policies_, principal_->caller, lowered_action, kRequestKeys, arn_of(key), to,
                                       context);
  });
}

bool PolicyGate::Question::ends_denial(Action action, const std::vector<std::string>& old_keys,
                                       const std::string& new_key) {
  if (closed() || principal_ == nullptr) return false;
  const policy::Context context = object_context(action_name(action));
  const std::string lowered_action = policy::lowered(action_name(action)), to = arn_of(new_key);
  return std::ranges::any_of(old_keys, [&](const std::string& key) {
    return policy::denial_by_ends(policies_, principal_->caller, lowered_action, kRequestKeys, arn_of(key), to,
                                  context);
  });
}

bool PolicyGate::Question::denied_somewhere(std::string_view action, const std::string& directory) {
  if (closed() || principal_ == nullptr) return !is_root();
  const policy::Context context = make_context(action, nullptr);
  const std::string lowered_action = policy::lowered(action);
  const std::string_view actions[] = {lowered_action};
  constexpr std::array<std::string_view, 1> kTags{kExistingTagKeys};
  // What there is is not looked at: a version may have the id, a lock the mode, and an object the tag.
  const bool denied =
      policy::may_deny_below(policies_, principal_->caller, lowered_action, below(directory), context) ||
      policy::denies_by(policies_, principal_->caller, actions, kRequestKeys) ||
      policy::denies_by(policies_, principal_->caller, actions, kTags);
  if (denied) trace_below(action, directory, Outcome::kExplicitDeny, "policies may deny it for something there");
  return denied;
}

// More characters than a pattern has question marks.
constexpr size_t kSample = 300;

bool PolicyGate::Question::listings_differ(const std::string& directory) {
  constexpr std::array<std::string_view, 1> kPrefix{"s3:prefix"};
  constexpr std::array<Action, 2> kListings{Action::kListBucket, Action::kListBucketVersions};
  if (closed() || principal_ == nullptr) return false;
  const policy::Caller& caller = principal_->caller;
  return std::ranges::any_of(kListings, [&](Action action) {
    const std::string lowered_action = policy::lowered(action_name(action));
    const std::string_view actions[] = {lowered_action};
    if (policy::denies_by(policies_, caller, actions, kPrefix)) return true;
    if (is_root() || !policy::allows_by(policies_, caller, actions, kPrefix)) return false;
    // What allows all but some is not known by a sample; a name that no policy has is allowed by what allows them all,
    // if it is too long for question marks.
    if (policy::allows_by_exception(policies_, caller, actions, kPrefix)) return true;
    const std::string itself = directory + "/",
                      below = itself + std::string(kSample, '\x01') + "/" + std::string(kSample, '\x01') + "/";
    return about_bucket(action_name(action), &itself) != Outcome::kAllow ||
           about_bucket(action_name(action), &below) != Outcome::kAllow;
  });
}

std::optional<PolicyGate::Answer> PolicyGate::Question::by_listing(Outcome listed, const AclAllows& acl) {
  if (listed == Outcome::kAllow) return Answer::kAllow;
  if (listed == Outcome::kImplicitDeny && acl && acl()) return Answer::kSilent;
  return std::nullopt;
}

PolicyGate::Answer PolicyGate::Question::by_key(Outcome listed, const std::string& key, bool listing) {
  if (uses(key, listing)) return Answer::kAllow;
  const std::string as_directory = key + "/";
  for (const std::string* prefix : {&key, &as_directory}) {
    if (about_bucket("s3:ListBucket", prefix) == Outcome::kAllow) return Answer::kAllow;
  }
  return listed == Outcome::kExplicitDeny ? Answer::kHidden : Answer::kSilent;
}

policy::Context PolicyGate::Question::make_context(std::string_view action, const std::string* prefix) const {
  policy::Context context;
  facts_.add_to(context);
  for (const ConditionValue& condition : conditions_) context.add(condition.key, condition.value);
  if (prefix != nullptr) {
    context.add("s3:prefix", *prefix);
    context.add("s3:delimiter", "/");
    context.add("s3:max-keys", "1000");  // what S3 takes where a request does not say
  }
  if (action == "s3:PutObject") {
    context.add("s3:x-amz-server-side-encryption", "AES256");  // what every object here is under
    context.add("s3:x-amz-storage-class", "STANDARD");
  }
  return context;
}

policy::Outcome PolicyGate::Question::decide(std::string_view action, const std::string& resource,
                                             const policy::Context& context) {
  if (closed() || principal_ == nullptr) {
    const Outcome outcome = is_root() ? Outcome::kImplicitDeny : Outcome::kExplicitDeny;
    if (TracedDecisions::current != nullptr) trace(action, resource, outcome, nullptr);
    return outcome;
  }
  const policy::Request request{.caller = principal_->caller,
                                .account = gate_.principals_.account_id(),
                                .action = action,
                                .resource = resource,
                                .context = context};
  const policy::Decision decision = policy::evaluate(policies_, request);
  if (TracedDecisions::current != nullptr) trace(action, resource, decision.outcome, &decision);
  // The root may do everything in S3's eyes; here what the policy does not speak of is for the ACL.
  if (decision.ground == policy::Ground::kRoot) return Outcome::kImplicitDeny;
  if (restricted_ && decision.outcome == Outcome::kAllow) return Outcome::kImplicitDeny;
  return decision.outcome;
}

std::string PolicyGate::Question::statement_text(const policy::Decision& decision) const {
  std::string owner = fmt::format("the policy of bucket {}", bucket_name_);
  StoredPolicyPtr stored = policy_;
  if (decision.document != policies_.bucket) {
    const auto name_if = [&](const AttachedPolicies::One& one) {
      if (one.policy == nullptr || one.policy->document.get() != decision.document) return;
      owner = one.name;
      stored = one.policy;
    };
    for (const AttachedPolicies::One& one : principal_->policies.identity) name_if(one);
    if (principal_->policies.boundary) name_if(*principal_->policies.boundary);
  }
  const policy::Statement& statement = decision.document->statements()[decision.statement];
  std::string which = fmt::format("statement {}", decision.statement + 1);
  if (!statement.sid.empty()) which += fmt::format(" ({})", printable(statement.sid));
  const auto lines = std::ranges::count(std::string_view(stored->text).substr(0, statement.offset), '\n');
  return fmt::format("{} of {}, line {}", which, owner, lines + 1);
}

std::string PolicyGate::Question::because(const policy::Decision& decision) const {
  switch (decision.ground) {
    case policy::Ground::kStatement:
      return statement_text(decision);
    case policy::Ground::kRoot:
      return "no policy denies it to the account's root";
    case policy::Ground::kNothingAllows:
      return "no policy speaks of it";
    case policy::Ground::kNotForAccount:
      return statement_text(decision) + " leaves it to the account, whose policies do not allow it";
    case policy::Ground::kOnlyOneAccount:
      return "only one of the two accounts allows it";
    case policy::Ground::kBoundary:
      return statement_text(decision) + " allows it, but " + principal_->policies.boundary->name + " does not";
  }
  return {};
}

void PolicyGate::Question::trace(std::string_view action, const std::string& resource, Outcome outcome,
                                 const policy::Decision* decision) const {
  DecisionTrace& trace = *TracedDecisions::current;
  trace.principal = principal_ == nullptr ? "unknown" : principal_->name();
  std::string why;
  if (decision != nullptr) {
    why = because(*decision);
  } else if (closed()) {
    why = "the policy of the bucket cannot be read: it is closed to all but root";
  } else {
    why = "it is not known who this is, or a policy that is attached cannot be read: all is denied";
  }
  trace.now().policies.push_back(
      {std::string(action), resource, std::string(policy::outcome_name(outcome)), std::move(why)});
}

}  // namespace pailfs
