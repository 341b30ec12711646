// `pail versions list`: what .versions shows of one key, as a list.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/history.h"

namespace pailfs {

VersionEntry version_entry(const Core::Impl& core, const ShownVersion& shown) {
  VersionEntry entry;
  entry.name = shown.name;
  entry.sealed = shown.at;
  entry.marker = shown.marker;
  entry.current = shown.current;
  entry.id = id_text(shown);
  if (shown.marker) {
    entry.uid = shown.span.uid;
    entry.mode = S_IFREG;
  } else {
    const InodeRecord& record = shown.version.record;
    entry.size = record.size;
    entry.mode = record.mode;
    entry.uid = record.uid;
    entry.retention = record.retention;
    entry.locked = !core.check_removable(bucket_of(shown.span.ino), record);
  }
  return entry;
}

Result<std::vector<VersionEntry>> Core::versions(const Caller& caller, std::string_view bucket, std::string_view path) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const Ino root, bucket_directory(bucket));
  PAILFS_ASSIGN(const auto spans, spans_of(impl, caller, root, path, true));
  PAILFS_ASSIGN(const auto shown, shown_versions(impl, spans));
  if (shown.empty() && !directories_of(spans).empty()) return fail(Code::kIsDirectory, "this is a directory");
  std::vector<VersionEntry> out;
  out.reserve(shown.size());
  for (auto version = shown.rbegin(); version != shown.rend(); ++version) {
    out.push_back(version_entry(impl, *version));
  }
  return out;
}

}  // namespace pailfs
