// `pail versions list`: what .versions shows of one key, as a list.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/history.h"
#include "core/path.h"

namespace pailfs {

VersionEntry version_entry(const Core::Impl& core, const ShownVersion& shown) {
  VersionEntry entry;
  entry.name = shown.name;
  entry.sealed = shown.at;
  entry.marker = shown.marker;
  entry.current = shown.current;
  if (shown.marker) {
    entry.id = marker_id_text(shown.span);
    entry.uid = shown.span.uid;
    entry.mode = S_IFREG;
  } else {
    const InodeRecord& record = shown.version.record;
    entry.id = version_id_text(record.version);
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
  const std::vector<std::string> names = split_path(path);
  if (names.empty()) return fail(Code::kInvalid, "name a file in the bucket");
  DirectorySpan top;
  top.ino = root;
  std::vector<DirectorySpan> directories{top};
  std::vector<NameSpan> spans;
  std::string above;
  for (size_t i = 0; i < names.size(); ++i) {
    PAILFS_ASSIGN(auto open, permitted(impl, caller, directories, Need::kSearch, above));
    const bool denied = open.empty() && !directories.empty();
    // The last directory is listed, as ls(1) does in .versions.
    if (i + 1 == names.size()) {
      PAILFS_ASSIGN(open, permitted(impl, caller, open, Need::kRead, above));
    }
    if (denied || (open.empty() && !directories.empty())) return fail(Code::kAccessDenied, "access denied");
    PAILFS_ASSIGN(spans, name_spans(impl, open, names[i]));
    add_name(above, names[i]);
    directories = directories_of(spans);
  }
  if (spans.empty()) return fail(Code::kNotFound, fmt::format("nothing in the bucket is or was called {}", path));
  PAILFS_ASSIGN(const auto shown, shown_versions(impl, spans));
  if (shown.empty() && !directories.empty()) return fail(Code::kIsDirectory, "this is a directory");
  std::vector<VersionEntry> out;
  out.reserve(shown.size());
  for (auto version = shown.rbegin(); version != shown.rend(); ++version) {
    out.push_back(version_entry(impl, *version));
  }
  return out;
}

}  // namespace pailfs
