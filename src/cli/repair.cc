// `pail repair`: works out what it will do, on a store that keeps every change in memory; says so; asks; and does it.
#include <fmt/format.h>
#include <unistd.h>

#include "cli/invocation.h"
#include "cli/session.h"
#include "core/time_text.h"
#include "store/superblock.h"

namespace pailfs::cli {
namespace {

struct RepairOptions {
  std::string path;
  bool yes = false;
  bool dry_run = false;
};

struct Plan {
  RepairResult result;
  bool rebuilt = false;     // the index is built anew from its copy
  std::string index_fault;  // why; empty where it is because values do not verify
  bool nothing() const { return result.fix_count == 0 && !rebuilt; }
};

bool loses_less(const RepairResult& one, const RepairResult& other) {
  return std::pair(one.changes.frames, one.unreadable_values) <
         std::pair(other.changes.frames, other.unreadable_values);
}

class Repairer {
 public:
  Repairer(Invocation& invocation, std::string store, const UnlockSecret& secret)
      : invocation_(invocation), store_(std::move(store)), secret_(secret) {}

  // Where values of the index do not verify, its copy may have them; and it may be newer than an index that somebody
  // put back, on which the log does not follow.
  Result<Plan> plan() {
    Plan plan;
    auto result = run(RepairMode::kRehearse, false);
    if (result) {
      plan.result = std::move(*result);
      if (plan.result.unreadable_values == 0 && plan.result.changes.frames == 0) return plan;
    } else {
      if (result.error().code != Code::kCorrupt) return std::unexpected(std::move(result).error());
      plan.index_fault = result.error().message;
    }
    const Status built = Store::build_new_index(env_, store_, secret_, invocation_.progress());
    invocation_.console.end_progress();
    if (!built) {
      if (plan.index_fault.empty()) return plan;  // what the copy would have had is lost
      return fail(built.error().code,
                  fmt::format("the index cannot be used ({}), and neither can its copy ({}): restore a backup",
                              plan.index_fault, built.error().message));
    }
    auto better = run(RepairMode::kRehearse, true);
    if (better && (!plan.index_fault.empty() || loses_less(*better, plan.result))) {
      plan.result = std::move(*better);
      plan.rebuilt = true;
      return plan;
    }
    PAILFS_TRY(Store::discard_new_index(env_, store_));
    if (!better && !plan.index_fault.empty()) return std::unexpected(std::move(better).error());
    return plan;
  }

  Result<RepairResult> apply(const Plan& plan) {
    if (plan.rebuilt) PAILFS_TRY(Store::install_new_index(env_, store_));
    return run(RepairMode::kRepair, false);
  }

  Status forget(const Plan& plan) { return plan.rebuilt ? Store::discard_new_index(env_, store_) : Status{}; }

 private:
  Result<RepairResult> run(RepairMode mode, bool new_index) {
    StoreOptions options;
    options.background = false;
    options.repair = mode;
    options.new_index = new_index;
    PAILFS_ASSIGN(const std::unique_ptr<Store> store, Store::open(env_, store_, secret_, options));
    auto result = Core::repair(*store, ::geteuid(), invocation_.progress());
    invocation_.console.end_progress();
    if (!result) return result;
    PAILFS_TRY(store->close());
    return result;
  }

  Env& env_ = posix_env();
  Invocation& invocation_;
  const std::string store_;
  const UnlockSecret& secret_;
};

Json to_json(const Plan& plan, bool repaired) {
  Json fixes = Json::array();
  for (const CheckProblem& fix : plan.result.fixes) {
    Json entry = {{"kind", fix.kind}, {"what", fix.what}};
    if (!fix.path.empty()) entry["path"] = bytes_to_json(fix.path);
    if (!fix.version.empty()) entry["version"] = fix.version;
    fixes.push_back(std::move(entry));
  }
  const LostChanges& changes = plan.result.changes;
  Json out = {{"repaired", repaired},
              {"index_rebuilt", plan.rebuilt},
              {"fix_count", plan.result.fix_count},
              {"fixes", std::move(fixes)},
              {"lost_bytes", plan.result.lost_bytes},
              {"lost_versions", plan.result.lost_versions},
              {"lost_names", plan.result.lost_names},
              {"found", plan.result.found},
              {"unreadable_values", plan.result.unreadable_values},
              {"lost_changes", 0}};
  if (changes.frames > 0) {
    out["lost_changes"] = changes.last_sequence - changes.first_sequence + 1;
    out["lost_from"] = format_time(changes.first_time);
    out["lost_to"] = format_time(changes.last_time);
  }
  return out;
}

void print(Invocation& invocation, const Plan& plan) {
  for (const CheckProblem& fix : plan.result.fixes) {
    std::string where = fix.path;
    if (!fix.version.empty()) where += fmt::format("{}version {}", where.empty() ? "" : " ", fix.version);
    invocation.line(where.empty() ? fix.what : fmt::format("{}: {}", where, fix.what));
  }
  const RepairResult& result = plan.result;
  if (result.fix_count > result.fixes.size()) {
    invocation.line(fmt::format("… and {} more", result.fix_count - result.fixes.size()));
  }
  if (plan.rebuilt) {
    invocation.line("The index is built anew from its copy; the damaged one is kept beside it, as index.old.");
  }
  if (result.changes.frames > 0) {
    invocation.line(fmt::format("The log has lost {} made from {} to {}.",
                                count_of(result.changes.last_sequence - result.changes.first_sequence + 1, "change"),
                                format_time(result.changes.first_time), format_time(result.changes.last_time)));
  }
  invocation.line(fmt::format("{} in all; {} of content in {} lost, {} lost, {} into lost+found.",
                              count_of(result.fix_count, "repair"), human_size(result.lost_bytes),
                              count_of(result.lost_versions, "version"), count_of(result.lost_names, "name"),
                              count_of(result.found, "file")));
}

Status agreed(Invocation& invocation, const RepairOptions& options, const Plan& plan) {
  if (options.yes) return {};
  if (plan.result.lost_bytes > 0 || plan.result.lost_names > 0 || plan.result.changes.frames > 0) {
    invocation.warn(
        "what is lost may still be in a backup, or in a segment file that can be put back: look there first");
  }
  return confirm(invocation, "Repair the store in this way? Type yes: ", "yes");
}

int work(Invocation& invocation, const RepairOptions& options, const std::string& store, const UnlockSecret& secret) {
  Repairer repairer(invocation, store, secret);
  auto plan = repairer.plan();
  if (!plan) return invocation.failed(plan.error());
  const bool quiet = invocation.common.json;
  if (plan->nothing()) {
    if (!invocation.printed_json(to_json(*plan, false))) invocation.line("The store is sound: there is nothing to do.");
    return kExitOk;
  }
  if (!quiet) print(invocation, *plan);
  const Status go =
      options.dry_run ? fail(Code::kInterrupted, "nothing was changed") : agreed(invocation, options, *plan);
  if (!go) {
    if (const Status forgotten = repairer.forget(*plan); !forgotten) return invocation.failed(forgotten.error());
    if (!options.dry_run) return invocation.failed(go.error(), kExitUsage);
    if (!invocation.printed_json(to_json(*plan, false))) invocation.line("Nothing was changed.");
    return kExitProblems;
  }
  auto result = repairer.apply(*plan);
  if (!result) {
    return invocation.failed(
        {result.error().code, fmt::format("the repair is not finished, run it again: {}", result.error().message)});
  }
  plan->result = std::move(*result);
  if (!invocation.printed_json(to_json(*plan, true))) {
    invocation.line(fmt::format("Repaired. 'pail check --deep --store {}' should find no damage.", store));
  }
  return kExitOk;
}

int repair(Invocation& invocation, const RepairOptions& options) {
  CommonOptions common = invocation.common;
  if (common.store.empty()) common.store = options.path.empty() ? "." : options.path;
  const auto place = choose_store(common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  if (ControlClient::connect(posix_env(), place->store)) {
    return invocation.failed({Code::kInUse, fmt::format("the store {} is mounted: unmount it first", place->store)});
  }
  if (const auto superblock = read_superblock(posix_env(), place->store); !superblock) {
    return invocation.failed(superblock.error());
  }
  if (const Status owner = check_owner(place->store); !owner) return invocation.failed(owner.error());
  const auto secret = secret_or_ask(invocation, place->store);
  if (!secret) return invocation.failed(secret.error());
  return work(invocation, options, place->store, *secret);
}

}  // namespace

void add_repair(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<RepairOptions>();
  CLI::App* const leaf = invocation.command(app, "repair", "Put a damaged store right; it must not be mounted",
                                            [&invocation, options] { return repair(invocation, *options); });
  leaf->add_option("STORE", options->path, "The store's directory (default: here)");
  leaf->add_flag("--dry-run", options->dry_run,
                 "Say what would be done, and do nothing; exit status 1 if there is any");
  leaf->add_flag("--yes", options->yes, "Do not ask");
}

}  // namespace pailfs::cli
