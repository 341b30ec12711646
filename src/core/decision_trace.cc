#include "core/decision_trace.h"

#include <algorithm>

#include "core/denials.h"

namespace pailfs {

const DecisionTrace::Check* DecisionTrace::refusal(const Error& error) const {
  const auto same = [&](const Check& check) {
    return check.refused && check.refused->code == error.code && check.refused->message == error.message;
  };
  const auto found = std::find_if(checks.rbegin(), checks.rend(), same);
  if (found != checks.rend()) return &*found;
  // To make what is hidden is denied, as if the check had said so.
  const bool hidden = !checks.empty() && checks.back().hidden && error.code == Code::kAccessDenied;
  return hidden ? &checks.back() : nullptr;
}

Status Gate::check_traced(const AccessRequest& request) const {
  DecisionTrace& trace = *TracedDecisions::current;
  DecisionTrace::Check& begun = trace.checks.emplace_back();
  begun.action = request.action;
  begun.need = request.need;
  begun.ino = request.object.ino;
  begun.mode = request.object.mode;
  begun.uid = request.object.uid;
  begun.gid = request.object.gid;
  begun.has_acl = request.object.acl != nullptr;
  begun.name = request.name;
  begun.keys.assign(request.keys.begin(), request.keys.end());
  begun.caller = request.caller.uid;
  trace.under_way = true;
  Status decided = decide(request);
  trace.under_way = false;
  if (!decided) trace.checks.back().refused = decided.error();
  return decided;
}

// The same question once more, so that nobody pays for a trace who is allowed something.
void Gate::note_denial(const AccessRequest& request) const {
  constexpr size_t kKept = 8;
  DecisionTrace& pending = Denials::pending();
  if (pending.checks.size() >= kKept) pending.checks.erase(pending.checks.begin());
  const TracedDecisions on(pending);
  static_cast<void>(check_traced(request));
}

}  // namespace pailfs
