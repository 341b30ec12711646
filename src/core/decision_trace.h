// Why something was decided as it was, for who asks that: what the gate finds while a trace is on in its thread.
#pragma once

#include <string>
#include <vector>

namespace pailfs {

struct DecisionTrace {
  struct Asked {
    std::string action;    // "s3:GetObject"
    std::string resource;  // ARN
    std::string outcome;   // "Allow", "ExplicitDeny", "ImplicitDeny"
    std::string because;   // the statement, its document and whose it is; or what was missing
  };
  std::string principal;        // ARN or name; "anonymous"
  std::vector<Asked> policies;  // in the order in which policies were asked
  std::string acl;              // what mode bits or the ACL said; empty: they were not asked
};

// On until it goes out of scope. While it is, nothing that was decided before is used.
class TracedDecisions {
 public:
  explicit TracedDecisions(DecisionTrace& trace) { current = &trace; }
  ~TracedDecisions() { current = nullptr; }
  TracedDecisions(const TracedDecisions&) = delete;
  TracedDecisions& operator=(const TracedDecisions&) = delete;

  static inline constinit thread_local DecisionTrace* current = nullptr;
};

}  // namespace pailfs
