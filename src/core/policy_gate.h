// The gate's other half: what policies of identities and buckets say of a request. FUSE names inodes and S3 keys, so
// here are the keys of an object: its paths in the bucket, one for each of its names. An explicit Deny on any of them
// denies, otherwise an Allow on one allows; what no policy speaks of is for the ACL.
//
// A directory is an object whose key is its path. To look a name up, one has to be able to list its directory (with
// s3:prefix that directory's path and a slash), or to use the key that the name stands for, or some key below it.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bucket_policies.h"
#include "core/decisions.h"
#include "core/gate.h"
#include "core/identities.h"
#include "core/principals.h"
#include "core/public_access.h"
#include "core/tags.h"

namespace pailfs {

class PolicyGate {
 public:
  // Where the gate asks for keys; called with an inode's lock or the tree lock held, and takes neither.
  class Keys {
   public:
    virtual ~Keys() = default;
    virtual std::string bucket_name(Scope bucket) const = 0;
    // "a/b" of a directory, empty for the bucket itself. Another failure than kNotFound is returned.
    virtual Result<std::string> path_of(Ino directory) const = 0;
    // All of an object; none where it has no name (any more).
    virtual Result<std::vector<std::string>> keys_of(Ino ino) const = 0;
    // What a name of a directory stands for; number 0: nothing.
    struct Named {
      Ino ino = 0;
      bool is_directory = false;
    };
    virtual Result<Named> find(Ino directory, std::string_view name) const = 0;
    virtual Result<ObjectTags> tags_of(const TagsOf& object) const = 0;
    virtual Time now() const = 0;        // ns since 1970
    virtual Time monotonic() const = 0;  // ns
  };

  PolicyGate(const BucketPolicies& policies, const Identities& identities, Principals& principals, const Keys& keys,
             const PublicAccess& public_access)
      : policies_(policies),
        identities_(identities),
        principals_(principals),
        keys_(keys),
        public_access_(public_access) {}

  // Whether policies take part in any decision.
  bool any() const { return policies_.any() || identities_.any(); }
  // Whether they take part in what is decided about the bucket (the store's scope: about the list of buckets).
  bool concerns(Scope bucket) const { return any() && (policies_.of(bucket) != nullptr || is_spoken_of(bucket)); }
  // To be told of what kept decisions depend on.
  Decisions& decisions() const { return decisions_; }

  enum class Answer {
    kSilent,  // the ACL decides
    kAllow,
    kDeny,
    kHidden,  // denied, and as if there were nothing of the name
  };
  // `acl`: whether the ACL allows it; asked where that spares finding out what else the policy would allow. Empty: only
  // what the policy allows counts.
  using AclAllows = std::function<bool()>;
  Result<Answer> answer(const AccessRequest& request, const AclAllows& acl) const;

  // Whether everything in the directory is to be listed, or what answer() allows to look up.
  Result<Answer> lists(const Caller& caller, Ino directory) const;

  // Whether a directory may be renamed in one change: what is decided of one key below it holds for all. kCrossDevice
  // where not: then it has to be copied.
  Status check_tree(const Caller& caller, Ino from, std::string_view name, Ino to, std::string_view new_name) const;
  // Whether the action is denied on nothing below a directory (its path; empty: in the whole bucket), the directory
  // itself included: for what is done to all of it at once.
  Status check_whole(const Caller& caller, Scope bucket, const std::string& directory, Action action) const;
  // Finds out who the caller is, which may take long, before any lock is held.
  void know(Caller& caller) const {
    if (!any()) return;
    caller.principal = principals_.of(caller, keys_.monotonic());
    caller.principal_known = true;
  }
  // What policies would allow the caller with an object by a new name, and do not by those that it has.
  Result<std::vector<Action>> gained(const Caller& caller, Ino ino, Ino directory, std::string_view name) const;

 private:
  class Question;
  // Who asks, and what decides.
  struct Asker {
    PrincipalPtr principal;  // null: nobody knows
    StoredPolicyPtr policy;  // of the bucket; null: it has none
    bool keeps() const;      // whether what is decided may be kept
    Wanted wants() const;
  };

  bool is_spoken_of(Scope bucket) const;
  bool looks_spoken_of(Scope bucket) const;
  // nullopt: no policy takes part.
  std::optional<Asker> asker(const Caller& caller, Scope bucket) const;
  std::optional<Question> question(const Caller& caller, Scope bucket) const;
  // `begun`: before the asker was made. What changed since then is not in what is decided.
  Result<Answer> answer_lookup(const AccessRequest& request, Asker asker, Decisions::Moment begun,
                               const AclAllows& acl) const;
  Result<Answer> answer_child(const AccessRequest& request, Asker asker, Decisions::Moment begun) const;
  Answer answer_store(const AccessRequest& request, Question& question) const;
  Result<Answer> answer_stat(const AccessRequest& request, Question& question, const AclAllows& acl) const;
  Result<Answer> answer_listing(const AccessRequest& request, Question& question) const;
  Result<Answer> answer_object(const AccessRequest& request, Question& question, const AclAllows& acl) const;

  const BucketPolicies& policies_;
  const Identities& identities_;
  Principals& principals_;
  const Keys& keys_;
  const PublicAccess& public_access_;
  mutable Decisions decisions_;
  // Whether a policy of an identity speaks of a bucket: generation << 1 | answer, at its number; 0: not found out yet.
  static constexpr size_t kSpokenOf = 4096;
  mutable std::array<std::atomic<uint64_t>, kSpokenOf> spoken_of_{};
};

}  // namespace pailfs
