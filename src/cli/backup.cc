#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/session.h"

namespace pailfs::cli {
namespace {

struct BackupOptions {
  std::string backup;
  bool replace = false;
  std::string store;
};

int backup(Invocation& invocation, const BackupOptions& options) {
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  const std::string target = absolute_path(options.backup);
  const auto result = request_once(invocation, place->store, Access::kChange, "backup",
                                   {{"target", bytes_to_json(target)}, {"replace", options.replace}});
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  invocation.line(fmt::format("{} has the store as of change {}: {}, {} of it new.", target,
                              number_member(*result, "sequence"), human_size(number_member(*result, "bytes")),
                              human_size(number_member(*result, "copied"))));
  return kExitOk;
}

int restore(Invocation& invocation, const BackupOptions& options) {
  if (!invocation.common.store.empty() || invocation.common.has_secret()) {
    return invocation.failed(
        {Code::kInvalid, "restore takes neither --store nor a secret: it copies, and opens nothing"}, kExitUsage);
  }
  const std::string store = absolute_path(options.store);
  if (const Status owner = check_future_owner(store); !owner) return invocation.failed(owner.error());
  const auto report = Store::restore(posix_env(), absolute_path(options.backup), store, invocation.progress());
  invocation.console.end_progress();
  if (!report) return invocation.failed(report.error());
  if (invocation.printed_json({{"store", bytes_to_json(store)},
                               {"segments", report->segments},
                               {"bytes", report->bytes},
                               {"copied", report->copied}})) {
    return kExitOk;
  }
  invocation.line(
      fmt::format("Restored {} to {}. Its index is built when it is first opened: mount it, or run "
                  "'pail check --deep --store {}'.",
                  human_size(report->bytes), store, store));
  return kExitOk;
}

}  // namespace

void add_backup_and_restore(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<BackupOptions>();
  CLI::App* const taking =
      invocation.command(app, "backup", "Copy a store, also while it is mounted; again: what is new",
                         [&invocation, options] { return backup(invocation, *options); });
  taking->add_option("BACKUP", options->backup, "Directory of the backup: missing, empty, or with an earlier one")
      ->required();
  taking->add_flag("--replace", options->replace, "Also a backup that has changes which this store does not have");
  CLI::App* const leaf = invocation.command(app, "restore", "Make a store of a backup; needs no key",
                                            [&invocation, options] { return restore(invocation, *options); });
  leaf->add_option("BACKUP", options->backup, "Directory of the backup")->required();
  leaf->add_option("STORE", options->store, "Directory to make the store in: missing or empty")->required();
}

}  // namespace pailfs::cli
