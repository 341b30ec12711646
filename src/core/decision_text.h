// Decisions in words: what a trace holds, for people.
#pragma once

#include <string>
#include <string_view>

#include "core/decision_trace.h"

namespace pailfs {

// What decided, in one sentence without a full stop: "mode 0640 of b/d/f (owner alice, group dev): the group has r--,
// w is missing". `path`: of what the check was about. Asks the name service: no lock is held.
std::string decision_text(const DecisionTrace::Check& check, const std::string& path);

// "alice (uid 1000)", or "uid 1000" where it has no login name.
std::string user_text(uint32_t uid);

// Who manages the store: "root, the owner of the store", or "root and the owner of the store (uid 1000)".
std::string managers_text(uint32_t account);

// "EACCES", "EPERM", "ENOENT": what programs see where something is refused; of other failures the name of the code.
std::string_view refusal_name(Code code);

}  // namespace pailfs
