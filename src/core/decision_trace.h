// Why something was decided as it was: what the gate finds while a trace is on in its thread, one entry for each
// question that it was asked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/gate.h"
#include "core/types.h"

namespace pailfs {

struct DecisionTrace {
  struct Asked {
    std::string action;    // "s3:GetObject"
    std::string resource;  // ARN; one that ends in "/*": whatever is below it
    std::string outcome;   // "Allow", "ExplicitDeny", "ImplicitDeny"
    std::string because;   // the statement, its document and whose it is; or what was missing
  };
  // The class of mode bits, or the entry of an ACL, that decided.
  // kNobodyElse: neither groups nor others are enough, so that nobody asked who is in them.
  enum class Class : uint8_t { kNone, kSuperuser, kOwner, kUser, kOwningGroup, kGroup, kOther, kNobodyElse, kAclsOff };
  struct Check {
    Action action = Action::kListBucket;
    Need need = Need::kNothing;
    // What it was about, as it was then: the object, or the entry `name` of this directory.
    Ino ino = 0;
    uint32_t mode = 0, uid = 0, gid = 0;
    bool has_acl = false;
    std::string name;
    std::vector<std::string> keys;  // as AccessRequest::keys
    uint32_t caller = 0;            // uid
    std::vector<Asked> policies;    // in the order in which they were asked
    bool by_policy = false;         // a policy decided; otherwise the ACL
    bool hidden = false;            // it denied so that there seems to be nothing
    Class by = Class::kNone;
    uint32_t id = 0;      // of Class::kUser and kGroup
    uint32_t given = 0;   // the permissions that the class has; r 4, w 2, x 1; of kNobodyElse the group's and others'
    uint32_t wanted = 0;  // those that it would have to have
    std::optional<Error> refused;
  };
  std::string principal;  // ARN or name; "anonymous"; empty: no policy takes part
  std::vector<Check> checks;
  // Calls are only explained: they end before they change anything, which `allowed` says then.
  bool only_explains = false;
  bool allowed = false;

  // Of what is asked now. Without a question to the gate: of what asks policies alone, like the renaming of a tree.
  Check& now() {
    if (!under_way && (checks.empty() || checks.back().need != Need::kNothing || checks.back().ino != 0)) {
      checks.emplace_back();
    }
    return checks.back();
  }
  bool under_way = false;

  // The check that a call was refused for; null: it was refused for something else.
  const Check* refusal(const Error& error) const;
};

// On until it goes out of scope. While it is, nothing that was decided before is used.
class TracedDecisions {
 public:
  explicit TracedDecisions(DecisionTrace& trace) : before_(std::exchange(current, &trace)) {}
  ~TracedDecisions() { current = before_; }
  TracedDecisions(const TracedDecisions&) = delete;
  TracedDecisions& operator=(const TracedDecisions&) = delete;

  static inline constinit thread_local DecisionTrace* current = nullptr;

 private:
  DecisionTrace* const before_;
};

// What the ACL said, where somebody wants to know.
inline void note_class(DecisionTrace::Class by, uint32_t given, uint32_t wanted, uint32_t id = 0) {
  if (TracedDecisions::current == nullptr || !TracedDecisions::current->under_way) return;
  DecisionTrace::Check& check = TracedDecisions::current->checks.back();
  check.by = by;
  check.given = given;
  check.wanted = wanted;
  check.id = id;
}

// Whether this thread only explains.
inline bool only_explains() { return TracedDecisions::current != nullptr && TracedDecisions::current->only_explains; }

// For a call that has passed all its checks, before it changes anything: fails where it is only explained.
inline Status unless_explained() {
  if (!only_explains()) return {};
  TracedDecisions::current->allowed = true;
  return fail(Code::kInterrupted, "only explained");
}

}  // namespace pailfs
