#include <unistd.h>

#include "core/time_text.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {
namespace {

// Why a store is read-only that this process opened so itself, to look at it: no news to anybody.
bool asked_for(const CommandContext& context, const StoreStatus& status) {
  return context.daemon == nullptr && status.read_only_reason == "it was opened read-only";
}

Json store_status(const CommandContext& context) {
  const Store& store = context.core.store();
  const StoreStatus status = store.status();
  const bool read_only = status.read_only && !asked_for(context, status);
  Json out = {{"uuid", status.uuid},
              {"read_only", read_only},
              {"sequence", status.sequence},
              {"durable_sequence", status.durable_sequence},
              {"segments", status.segments},
              {"log_bytes", status.log_bytes},
              {"dead_bytes", status.dead_bytes},
              {"index_bytes", status.index_bytes},
              {"index_copy_bytes", status.index_copy_bytes},
              {"index_copy_whole", status.index_copy_whole},
              {"memtable_bytes", status.memtable_bytes},
              {"checkpoints", status.checkpoints}};
  if (read_only) out["read_only_reason"] = status.read_only_reason;
  if (const auto until = context.core.times_ahead()) out["times_ahead_until"] = format_time(*until);
  out["recovery"] = {{"frames", status.recovery.frames},
                     {"bytes", status.recovery.bytes},
                     {"torn", status.recovery.torn},
                     {"lost_bytes", status.recovery.lost_bytes}};
  if (const auto space = store.space()) {
    out["space"] = {{"total", space->total}, {"available", space->available}, {"refused", status.full}};
    if (status.full) out["space"]["needed"] = status.room_needed;
  }
  if (auto scrub = scrub_status(context)) {
    out["scrub"] = std::move(*scrub);
  } else {
    out["scrub"] = {{"error", scrub.error().message}};
  }
  return out;
}

// Mount options without those that say where keys are.
std::string without_keys(std::string_view options) {
  std::string out;
  while (!options.empty()) {
    size_t end = options.find(',');
    while (end != std::string_view::npos && end > 0 && options[end - 1] == '\\') end = options.find(',', end + 1);
    const std::string_view option = options.substr(0, end);
    options.remove_prefix(end == std::string_view::npos ? options.size() : end + 1);
    if (option.substr(0, option.find('=')).ends_with("_file")) continue;
    if (!out.empty()) out += ',';
    out += option;
  }
  return out;
}

Json daemon_status(const DaemonStatus& status, Time now) {
  Json requests = Json::object();
  for (const auto& [name, count] : status.requests) requests[name] = count;
  return {{"pid", ::getpid()},
          {"version", PAILFS_VERSION},
          {"store", bytes_to_json(status.store)},
          {"mountpoint", bytes_to_json(status.mountpoint)},
          {"bucket", status.bucket},
          {"options", bytes_to_json(without_keys(status.options))},
          {"io_uring", status.io_uring},
          {"transport", status.transport},
          {"entry_caching", status.entry_caching},
          {"libfuse", status.libfuse},
          {"started", format_time(status.started)},
          {"uptime_seconds", std::max<int64_t>(0, (now - status.started) / 1'000'000'000)},
          {"requests", std::move(requests)}};
}

}  // namespace

Result<Json> status(const CommandContext& context, const Json& /*args*/) {
  const InUse in_use = context.core.in_use();
  Json out = {{"protocol", kControlProtocol},
              {"store", store_status(context)},
              {"in_use", {{"handles", in_use.handles}, {"inodes", in_use.inodes}}},
              {"daemon", nullptr}};
  if (context.daemon != nullptr) {
    out["daemon"] = daemon_status(context.daemon->daemon_status(), context.core.store().env().now());
  }
  return out;
}

Result<Json> check(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "checking a store"));
  PAILFS_ASSIGN(const bool deep, bool_argument(args, "deep", false));
  PAILFS_ASSIGN(const CheckResult result, context.core.check(deep, context.progress));
  Json problems = Json::array();
  uint64_t count = result.problem_count;
  // Damage in the log, or a medium that failed: what lies behind it could not be looked at.
  if (const StoreStatus store = context.core.store().status(); store.read_only && !asked_for(context, store)) {
    problems.push_back({{"kind", "log"}, {"what", "the store is read-only: " + store.read_only_reason}});
    ++count;
  }
  for (const CheckProblem& problem : result.problems) {
    Json entry = {{"kind", problem.kind}, {"what", problem.what}};
    if (!problem.path.empty()) entry["path"] = bytes_to_json(problem.path);
    if (!problem.version.empty()) entry["version"] = problem.version;
    problems.push_back(std::move(entry));
  }
  return Json{{"deep", deep},
              {"files", result.files},
              {"directories", result.directories},
              {"versions", result.versions},
              {"bytes", result.bytes},
              {"lost_bytes", result.lost_bytes},
              {"unreferenced_bytes", result.unreferenced_bytes ? Json(*result.unreferenced_bytes) : Json()},
              {"problem_count", count},
              {"problems", std::move(problems)}};
}

}  // namespace pailfs::commands
