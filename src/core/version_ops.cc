// Changing one version: it comes back, or goes for good. And when a deletion began, that is to be undone.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/history.h"
#include "core/path.h"
#include "core/restore.h"
#include "core/scan.h"

namespace pailfs {

namespace {

constexpr Stamp kRemovalGap = 60 * kSecond;  // between removals that belong together

// The directory that holds the path now.
Result<Ino> parent_now(Core& core, const Caller& caller, Ino root, const std::vector<std::string>& names) {
  Ino at = root;
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    const auto found = core.lookup(caller, at, names[i]);
    if (!found && found.error().code == Code::kNotFound) {
      return fail(Code::kNotFound,
                  fmt::format("the directory {} is gone: bring it back first ('pail versions undelete')", names[i]));
    }
    if (!found) return std::unexpected(found.error());
    core.forget(found->ino, 1);
    at = found->ino;
  }
  return at;
}

}  // namespace

Status Core::restore_version(const Caller& caller, std::string_view bucket, std::string_view path,
                             std::string_view version) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const Ino root, bucket_directory(bucket));
  PAILFS_ASSIGN(const auto spans, spans_of(impl, caller, root, path));
  PAILFS_ASSIGN(const ShownVersion shown, version_of(impl, spans, path, version));
  if (shown.marker) return fail(Code::kInvalid, "this is a delete marker: 'pail versions undelete' undoes a deletion");
  const std::vector<std::string> names = split_path(path);
  PAILFS_ASSIGN(const Ino parent, parent_now(*this, caller, root, names));
  const Stamp until = shown.version.ceased == kForever ? impl.latest_stamp() : shown.version.ceased - 1;
  PAILFS_ASSIGN(const Ino ino,
                Restorer(impl, caller).put({shown.span.ino, shown.version.record, until}, parent, names.back()));
  impl.settle_nulls(parent, names.back());
  impl.name_changed(parent, names.back(), ino);
  return {};
}

Status Core::purge_version(const Caller& caller, std::string_view bucket, std::string_view path,
                           std::string_view version, const Consent& consent) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const Ino root, bucket_directory(bucket));
  PAILFS_ASSIGN(const Attributes object, getattr(caller, root));
  PAILFS_TRY(impl.check_mfa(bucket_of(root), consent.mfa));
  PAILFS_ASSIGN(const auto spans, spans_of(impl, caller, root, path));
  PAILFS_ASSIGN(const ShownVersion shown, version_of(impl, spans, path, version));
  PAILFS_ASSIGN(const auto keys, keys_of(impl, shown, path));
  const ConditionValue id{kVersionIdKey, id_text(shown)};
  AccessRequest removal{caller, Action::kDeleteObjectVersion, Need::kAccount, object};
  removal.keys = keys;
  removal.conditions = std::span(&id, 1);
  removal.tags = tags_of(shown);
  PAILFS_TRY(impl.gate.check(removal));
  PAILFS_TRY(impl.check_bypass(caller, bucket_of(root), keys, consent, removal.conditions, removal.tags));
  const Status removed =
      shown.marker ? remove_marker(impl, caller, shown.span)
                   : remove_object_version(impl, caller, shown.span, shown.version, consent.bypass_governance);
  impl.names_ended();
  return removed;
}

Result<Time> Core::before_removal(const Caller& caller, std::string_view bucket, std::string_view path) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const Ino root, bucket_directory(bucket));
  PAILFS_ASSIGN(const auto spans, spans_of(impl, caller, root, path));
  const NameSpan& last = spans.back();
  if (last.live()) return fail(Code::kExists, fmt::format("{} is there: nothing to undelete", path));
  if (!S_ISDIR(last.type)) return last.end - 1;
  // What happened below it, backwards: removals, as far as they follow each other closely and nothing else comes
  // between them, were one.
  std::vector<std::pair<Stamp, bool>> events{{last.end, true}};  // when, and whether it was a removal
  std::vector<DirectorySpan> below = directories_of({last});
  while (!below.empty()) {
    const DirectorySpan directory = below.back();
    below.pop_back();
    PAILFS_TRY(each_name(impl, directory, [&](const std::string&, const std::vector<NameSpan>& names) -> Status {
      for (const NameSpan& name : names) {
        events.emplace_back(name.since, false);
        if (!name.live()) events.emplace_back(name.end, name.derived || name.kind == EndKind::kDeleted);
      }
      const auto directories = directories_of(names);
      below.insert(below.end(), directories.begin(), directories.end());
      return {};
    }));
  }
  std::ranges::sort(events, std::greater());
  Stamp first = last.end;
  for (const auto& [at, removal] : events) {
    if (!removal || first - at > kRemovalGap) break;
    first = at;
  }
  return first - 1;
}

}  // namespace pailfs
