// Explaining decisions: what would come of a call, and why. Whatever is explained is done by the operations themselves,
// in the name of who it is asked for, up to where they would change something (unless_explained() in decision_trace.h):
// there is no second copy of the rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/core.h"
#include "core/decision_trace.h"

namespace pailfs {

struct ExplainRequest {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups = {};  // supplementary ones
  std::string operation;              // one of explained_operations(), or an action of S3
  std::string path;                   // "bucket/directory/name"; empty: the root of the store
  std::optional<std::string> to = {};
  std::optional<uint32_t> mode = {};  // that chmod gives; the one that it has
};

struct ExplainedStep {
  std::string call;  // "lookup", "write"
  std::string path;
  std::optional<Error> refused;
  std::string why;
  std::vector<DecisionTrace::Check> checks;  // for the account only, as they tell of other names and statements
};

struct Explanation {
  std::string principal;  // ARN or name; empty: no policy takes part
  bool allowed = false;
  bool denied = false;  // for want of a right. Neither: it fails for another reason, as what is missing
  std::optional<Error> refused;
  std::string reason;                // of the last step
  std::vector<ExplainedStep> steps;  // in the order of the system's calls; the last one decided
};

struct ExplainedOperation {
  std::string_view name;
  std::string_view help;
  bool takes_target = false;
};
const std::vector<ExplainedOperation>& explained_operations();

// kInvalid: no such operation. kAccessDenied: only the account may ask about others, and for other groups than `own`,
// those of the account of that uid.
Result<Explanation> explain(Core& core, const Caller& asking, const ExplainRequest& request);

}  // namespace pailfs
