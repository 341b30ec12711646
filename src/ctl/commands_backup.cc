#include <fmt/format.h>

#include "ctl/commands_internal.h"
#include "ctl/location.h"

namespace pailfs::commands {

Result<Json> backup(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "a backup of the store"));
  if (!args.contains("target")) return fail(Code::kInvalid, "the argument 'target' is missing");
  PAILFS_ASSIGN(const std::string target, json_to_bytes(args.at("target")));
  if (target.empty() || target.front() != '/')
    return fail(Code::kInvalid, "the target of a backup is an absolute path");
  if (context.daemon != nullptr) {
    PAILFS_ASSIGN(const auto mounted, locate(target));
    if (mounted && mounted->store == context.daemon->daemon_status().store) {
      return fail(Code::kInvalid, fmt::format("{} is in the store itself: a backup goes elsewhere", target));
    }
  }
  PAILFS_ASSIGN(const BackupReport report, context.core.store().backup(target, context.progress));
  return Json{{"target", bytes_to_json(target)},
              {"segments", report.segments},
              {"bytes", report.bytes},
              {"copied", report.copied},
              {"sequence", report.sequence}};
}

}  // namespace pailfs::commands
