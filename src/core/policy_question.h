// One request, as policies are asked about it. Only policy_gate.cc and policy_question.cc include this.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/decision_trace.h"
#include "core/policy_gate.h"
#include "core/request_facts.h"
#include "policy/coverage.h"
#include "policy/evaluate.h"

namespace pailfs {

// What can be done with an object: who may do any of it knows that it is there.
inline constexpr std::array<Action, 6> kUses{Action::kGetObject,        Action::kPutObject,
                                             Action::kDeleteObject,     Action::kPutObjectAcl,
                                             Action::kGetObjectVersion, Action::kDeleteObjectVersion};
inline constexpr std::array<std::string_view, 6> kLoweredUses{"s3:getobject",        "s3:putobject",
                                                              "s3:deleteobject",     "s3:putobjectacl",
                                                              "s3:getobjectversion", "s3:deleteobjectversion"};

// Of these, what shows it in a listing: who may only write or delete finds it by its name.
inline constexpr std::array<Action, 2> kShows{Action::kGetObject, Action::kGetObjectVersion};
inline constexpr std::array<std::string_view, 2> kLoweredShows{"s3:getobject", "s3:getobjectversion"};

// What a new name must not give either: to change locks and tags, which those do who may.
inline constexpr std::array<Action, 13> kGains{kUses[0],
                                               kUses[1],
                                               kUses[2],
                                               kUses[3],
                                               kUses[4],
                                               kUses[5],
                                               Action::kPutObjectRetention,
                                               Action::kPutObjectLegalHold,
                                               Action::kBypassGovernanceRetention,
                                               Action::kGetObjectTagging,
                                               Action::kGetObjectVersionTagging,
                                               Action::kPutObjectTagging,
                                               Action::kDeleteObjectTagging};
inline constexpr std::array<std::string_view, 13> kLoweredGains{kLoweredUses[0],
                                                                kLoweredUses[1],
                                                                kLoweredUses[2],
                                                                kLoweredUses[3],
                                                                kLoweredUses[4],
                                                                kLoweredUses[5],
                                                                "s3:putobjectretention",
                                                                "s3:putobjectlegalhold",
                                                                "s3:bypassgovernanceretention",
                                                                "s3:getobjecttagging",
                                                                "s3:getobjectversiontagging",
                                                                "s3:putobjecttagging",
                                                                "s3:deleteobjecttagging"};

// Whether a policy asks for it of the bucket, and not of a key.
bool is_of_bucket(Action action);

// Everything that is the same for all keys of a request.
class PolicyGate::Question {
 public:
  using Outcome = policy::Outcome;
  Question(const PolicyGate& gate, const Caller& caller, Scope bucket, Asker asker);
  // The tags of what is asked about, where a policy wants them.
  Status set_tags(const TagsOf& object);
  Status set_tags_of_name(Ino directory, std::string_view name);
  Status set_tags_for(const AccessRequest& request);
  // They must outlive it.
  void set_conditions(std::span<const ConditionValue> conditions) { conditions_ = conditions; }

  // Nobody but the root of the account gets past a policy that cannot be read.
  bool closed() const { return policy_ != nullptr && policies_.bucket == nullptr; }
  bool is_root() const { return principal_ != nullptr && principal_->is_root(); }

  Outcome about_bucket(std::string_view action, const std::string* prefix) {
    return decide(action, fmt::format("arn:aws:s3:::{}", bucket_name_), make_context(action, prefix));
  }
  // Of what is not about a bucket: `resource` is "*" or what the action is about.
  Outcome about_store(std::string_view action, const std::string& resource) {
    return decide(action, resource, make_context(action, nullptr));
  }
  Outcome about_key(std::string_view action, std::string_view key) {
    return decide(action, arn_of(key), object_context(action));
  }

  // Whether there is anything that the caller may do with the key, or with one that begins with it and a slash.
  // `listed`: whether that shows it in a listing.
  bool uses(const std::string& key, bool listed);
  bool uses_below(const std::string& directory, bool listed);
  bool alike_below(const std::string& directory) { return alike_below(directory, kLoweredGains); }
  bool alike_below(const std::string& directory, std::span<const std::string_view> actions) {
    if (closed() || principal_ == nullptr) return true;
    const policy::Context context = make_context("s3:PutObject", nullptr);
    return policy::decides_alike_below(policies_, principal_->caller, actions, below(directory), context);
  }

  // Whether a new key lets do what the old ones do not, or may by what one request alone has (kRequestKeys), as far as
  // policies go.
  bool gains(Action action, const std::vector<std::string>& old_keys, const std::string& new_key);

  // Whether a statement that denies it by what one request alone has (kRequestKeys) is about an old key and not about
  // the new one.
  bool ends_denial(Action action, const std::vector<std::string>& old_keys, const std::string& new_key);

  // The other way round: whether the new key is denied it, or may be by what a request has, and no old one is.
  bool begins_denial(Action action, const std::vector<std::string>& old_keys, const std::string& new_key) {
    return denies_only_new(action, old_keys, new_key) ||
           std::ranges::all_of(old_keys, [&](const auto& key) { return ends_denial(action, {new_key}, key); });
  }
  bool denies_only_new(Action action, const std::vector<std::string>& old_keys, const std::string& new_key) {
    const auto denied = [&](const std::string& key) {
      return about_key(action_name(action), key) == Outcome::kExplicitDeny;
    };
    return denied(new_key) && std::ranges::none_of(old_keys, denied);
  }

  // Whether something in the bucket is denied: for what has no key any more.
  bool denied_somewhere(std::string_view action, const std::string& directory);
  // Whether what may be listed is told apart by prefixes: any that is denied, or one that is allowed where not all of
  // the directory is, so that what is in it may be listed by another path.
  bool listings_differ(const std::string& directory);

  // To list the directory that has this path.
  Outcome listing(const std::string& directory) {
    const std::string prefix = directory.empty() ? std::string() : directory + "/";
    return about_bucket("s3:ListBucket", &prefix);
  }

  // To look a name of a directory up, of whose listing that was decided; and what is left where that does not settle
  // it.
  static std::optional<Answer> by_listing(Outcome listed, const AclAllows& acl);
  // `listing`: to be in a list, and not by a name that the caller has.
  Answer by_key(Outcome listed, const std::string& key, bool listing);
  Answer visible(Outcome listed, const std::string& key, const AclAllows& acl) {
    if (const auto settled = by_listing(listed, acl)) return *settled;
    return by_key(listed, key, false);
  }

 private:
  std::string arn_of(std::string_view key) const { return fmt::format("arn:aws:s3:::{}/{}", bucket_name_, key); }

  std::string below(const std::string& directory) const {
    return directory.empty() ? bucket_name_ + "/" : fmt::format("{}/{}/", bucket_name_, directory);
  }

  // `prefix`: of a listing.
  policy::Context make_context(std::string_view action, const std::string* prefix) const;
  // Of what is done to the object whose tags are set.
  policy::Context object_context(std::string_view action) const {
    policy::Context context = make_context(action, nullptr);
    for (const auto& [tag, value] : tags_) context.add(tag, value);
    return context;
  }

  Outcome decide(std::string_view action, const std::string& resource, const policy::Context& context);

  // "[…] only AWS service principals and authorized users within the bucket owner's account" (RestrictPublicBuckets).
  bool is_stranger(const Principal& principal) const {
    if (principal.caller.type() == policy::PrincipalType::kService) return false;
    return principal.caller.account() != gate_.principals_.account_id();
  }

  std::string statement_text(const policy::Decision& decision) const;

  std::string because(const policy::Decision& decision) const;

  void trace_below(std::string_view action, const std::string& directory, Outcome outcome, std::string why) const {
    if (TracedDecisions::current == nullptr) return;
    TracedDecisions::current->now().policies.push_back({std::string(action),
                                                        fmt::format("arn:aws:s3:::{}*", below(directory)),
                                                        std::string(policy::outcome_name(outcome)), std::move(why)});
  }

  void trace(std::string_view action, const std::string& resource, Outcome outcome,
             const policy::Decision* decision) const;

  const PolicyGate& gate_;
  Wanted wants_;
  PrincipalPtr principal_;
  StoredPolicyPtr policy_;
  std::string bucket_name_;
  RequestFacts facts_;
  std::span<const ConditionValue> conditions_;
  ObjectTags tags_;          // by condition keys
  bool leaf_ = false;        // nothing can be below it, which would have tags of its own
  bool restricted_ = false;  // what a public policy allows does not count for the caller
  policy::Policies policies_;
};

}  // namespace pailfs
