// Checking keys: whatever is in the index belongs to something that the rest of the check looks at. A record whose key
// was changed is missing where it should be, and may lie where nobody looks.
#include <fmt/format.h>

#include "core/check.h"

namespace pailfs {

namespace {

// Where the range of keys ends that `key` belongs to; nullopt: there is none.
Result<std::optional<std::string>> range_of_key(Core::Impl& core, const std::string& key) {
  auto around = keys_around(key);
  if (!around) return std::nullopt;
  if (around->scope != kStoreScope) {
    const auto record = core.store.get(kStoreScope, keys::bucket(around->scope));
    if (!record) return std::unexpected(record.error());
    if (!*record) return std::nullopt;
  }
  return std::move(around->end);
}

}  // namespace

Status check_keys(Core::Impl& core, CheckReport& report, const std::vector<Scope>& buckets) {
  // What the store itself keeps, and versions, which otherwise are only looked for where an inode has some.
  const auto verified = [](const StoreView::Entry&) -> Status { return {}; };
  PAILFS_TRY(scan_for_check(report, core.store, kStoreScope, std::string(1, '\0'), " ", verified));
  for (const Scope bucket : buckets) {
    if (!core.store.has_scope(bucket)) continue;
    PAILFS_TRY(scan_for_check(report, core.store, bucket, kind_begin('v', bucket), kind_end('v', bucket), verified));
  }
  for (std::string from(1, '\0');;) {
    PAILFS_ASSIGN(const auto key, core.store.view().seek_key(from, ""));
    if (!key) return {};
    PAILFS_TRY(report.step());
    const auto end = range_of_key(core, *key);
    if (!end && end.error().code != Code::kCorrupt) return std::unexpected(end.error());
    from = end && *end ? **end : *key + '\0';
    if (end && *end) continue;
    // A bucket that is gone by now has taken it along.
    PAILFS_ASSIGN(const auto again, core.store.view().seek_key(*key, from));
    if (again) {
      report.problem(
          "index", 0,
          fmt::format("a record of kind '{}' lies where nothing looks for it: its key was changed", key->front()));
    }
  }
}

}  // namespace pailfs
