#include "core/scrub.h"
#include "core/time_text.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {
namespace {

Json describe(const LostObject& lost) {
  Json paths = Json::array();
  for (const std::string& path : lost.paths) paths.push_back(bytes_to_json(path));
  return {{"paths", std::move(paths)}, {"version", lost.version}, {"current", lost.current},
          {"bytes", lost.bytes},       {"why", lost.why},         {"found", format_time(lost.found)}};
}

}  // namespace

// Names of files are for the account alone.
Result<Json> scrub_status(const CommandContext& context) {
  const bool with_objects = require_account(context, "what is lost").has_value();
  PAILFS_ASSIGN(const ScrubStatus status, context.core.scrub().status(with_objects));
  Json out = {{"running", status.begun != 0},
              {"verified_bytes", status.verified},
              {"expected_bytes", status.expected},
              {"completed_bytes", status.completed_bytes},
              {"lost_count", status.lost_count}};
  if (status.begun != 0) out["begun"] = format_time(status.begun);
  if (status.completed != 0) out["completed"] = format_time(status.completed);
  if (context.daemon != nullptr) {
    out["automatic"] = status.options.automatic;
    out["rate"] = status.options.rate;
    out["interval_seconds"] = status.options.interval / 1'000'000'000;
  }
  if (with_objects) {
    Json objects = Json::array();
    for (const LostObject& lost : status.lost) objects.push_back(describe(lost));
    out["lost"] = std::move(objects);
  }
  return out;
}

Result<Json> scrub(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const bool now, bool_argument(args, "now", false));
  if (now) {
    PAILFS_TRY(require_account(context, "starting a scrub"));
    if (context.daemon == nullptr) {
      return fail(Code::kInvalid,
                  "the daemon of a mounted store scrubs, and no daemon serves this one: mount it, or run "
                  "`pail check --deep`");
    }
    if (const StoreStatus store = context.core.store().status(); store.read_only) {
      return fail(Code::kReadOnly,
                  "the store is read-only, and a scrub writes down what it finds: run `pail check --deep`");
    }
    context.core.scrub().start_now();
  }
  return scrub_status(context);
}

}  // namespace pailfs::commands
