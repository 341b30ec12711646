#include <fmt/format.h>
#include <unistd.h>

#include "core/scrub.h"
#include "core/verify.h"
#include "ctl/commands_internal.h"
#include "ctl/location.h"
#include "io/user_env.h"

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
  Store& store = context.core.store();
  BackupRequest request;
  PAILFS_ASSIGN(request.replace, bool_argument(args, "replace", false));
  PAILFS_ASSIGN(const ScrubStatus scrub, context.core.scrub().status(false));
  request.lost_records = scrub.lost_records > 0;
  request.lost_segments = scrub.lost_segments;
  // Whoever asks gets nothing written that he could not write.
  std::unique_ptr<Env> callers;
  if (const Caller& caller = context.caller; ::geteuid() == 0 && caller.uid != 0) {
    FileUser user{caller.uid, caller.gid, {}};
    if (caller.groups != nullptr) user.groups = caller.groups->groups();
    callers = make_user_env(posix_env(), std::move(user));
  }
  request.target_env = callers ? callers.get() : context.daemon != nullptr ? &posix_env() : nullptr;
  request.content = [&store](const std::set<uint64_t>& segments) { return content_in(store, segments); };
  PAILFS_ASSIGN(const BackupReport report, store.backup(target, context.progress, request));
  return Json{{"target", bytes_to_json(target)},
              {"segments", report.segments},
              {"bytes", report.bytes},
              {"copied", report.copied},
              {"sequence", report.sequence}};
}

}  // namespace pailfs::commands
