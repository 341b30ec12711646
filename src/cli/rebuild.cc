#include <fmt/format.h>
#include <unistd.h>

#include "cli/invocation.h"
#include "cli/session.h"
#include "store/superblock.h"

namespace pailfs::cli {
namespace {

struct RebuildOptions {
  std::string path;
};

Result<RebuildReport> rebuild(Invocation& invocation, const std::string& store) {
  Env& env = posix_env();
  if (ControlClient::connect(env, store)) {
    return fail(Code::kInUse, fmt::format("a daemon serves the store {}: unmount it first", store));
  }
  PAILFS_TRY(read_superblock(env, store));
  PAILFS_TRY(check_owner(store));
  PAILFS_ASSIGN(const UnlockSecret secret, secret_or_ask(invocation, store));
  auto report = Store::rebuild_index(env, store, secret, invocation.progress());
  invocation.console.end_progress();
  return report;
}

int rebuild_index(Invocation& invocation, const RebuildOptions& options) {
  CommonOptions common = invocation.common;
  if (common.store.empty()) common.store = options.path.empty() ? "." : options.path;
  auto place = choose_store(common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  const auto report = rebuild(invocation, place->store);
  if (!report) return invocation.failed(report.error());
  if (invocation.printed_json({{"entries", report->entries},
                               {"bytes", report->bytes},
                               {"frames", report->frames},
                               {"old_index", bytes_to_json(report->old_index)}})) {
    return kExitOk;
  }
  invocation.line(fmt::format("Built the index anew from {} of its copy ({}) and {} of the log.",
                              count_of(report->entries, "entry"), human_size(report->bytes),
                              count_of(report->frames, "frame")));
  if (!report->old_index.empty()) {
    invocation.line(
        fmt::format("What was there is in {}; 'pail check --deep' says whether it can go.", report->old_index));
  }
  return kExitOk;
}

}  // namespace

void add_rebuild(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<RebuildOptions>();
  invocation
      .command(app, "rebuild-index", "Build a lost or damaged index anew; the store must not be mounted",
               [&invocation, options] { return rebuild_index(invocation, *options); })
      ->add_option("STORE", options->path, "The store's directory (default: here)");
}

}  // namespace pailfs::cli
