// What names stood for, and when: the history side of the namespace, read from dirents, ended dirents and the versions
// of inodes. The .versions view, `pail versions` and pruning are built on it.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/impl.h"

namespace pailfs {

inline constexpr Stamp kForever = std::numeric_limits<Stamp>::max();

// A directory for as long as it bore a path: [since, end).
struct DirectorySpan {
  Ino ino = 0;
  Stamp since = 0;
  Stamp end = kForever;
  // How the span ended, for the delete markers that follow for everything below it.
  EndKind kind = EndKind::kDeleted;
  VersionId marker{};
  bool null_marker = false;
  uint32_t uid = 0;
};

// An inode for as long as it bore a name.
struct NameSpan {
  Ino parent = 0;
  uint64_t slot = 0;
  Ino ino = 0;
  uint32_t type = 0;  // S_IFMT bits
  Stamp since = 0;
  Stamp end = kForever;  // kForever: it still does
  EndKind kind = EndKind::kDeleted;
  VersionId marker{};  // zero: none
  bool null_marker = false;
  uint32_t uid = 0;      // who ended it
  bool derived = false;  // ended with a directory above it: no record of its own
  bool live() const { return end == kForever; }
  bool has_marker() const { return !live() && marker != VersionId{}; }
  // Whether versions of the inode belong to this name. Those of an inode that went on under another name belong there.
  bool owns(const InodeRecord& record) const {
    return live() || (!derived && record.nlink == 0 && kind != EndKind::kRenamed);
  }
};

// One version of an inode's content.
struct ObjectVersion {
  uint32_t vseq = 0;
  Stamp ceased = kForever;  // sealing time of the next version; kForever: none was sealed since
  bool own = false;         // the inode record's own content
  bool current = false;     // and the inode has a name
  InodeRecord record;
};

// Every span of `name` in the directories, by the time it began. Reads without locks.
Result<std::vector<NameSpan>> name_spans(Core::Impl& core, const std::vector<DirectorySpan>& directories,
                                         std::string_view name);
// Those of them that are directories, as spans to descend into.
std::vector<DirectorySpan> directories_of(const std::vector<NameSpan>& spans);
// Calls `visit` for every name that is or was in the directory while it bore the path, with the name's spans.
Status each_name(Core::Impl& core, const DirectorySpan& directory,
                 const std::function<Status(const std::string& name, const std::vector<NameSpan>& spans)>& visit);
// The directories that the caller may list (Need::kRead) or look things up in (kSearch), by their present path and by
// the one that they were reached by. One whose record is gone is
// for the superuser alone.
Result<std::vector<DirectorySpan>> permitted(Core::Impl& core, const Caller& caller,
                                             const std::vector<DirectorySpan>& directories, Need need,
                                             const std::string& path);
// The sealed versions of an inode, oldest first; seals what nobody has open for writing first. Takes the inode's lock.
// Empty for an inode that is gone.
Result<std::vector<ObjectVersion>> object_versions(Core::Impl& core, Ino ino);
// The one of them that was sealed at that time, found by bisection.
Result<std::optional<ObjectVersion>> object_version(Core::Impl& core, Ino ino, Stamp sealed);
// The last version that was sealed by then, of those with numbers below `end`. nullopt: none.
Result<std::optional<InodeRecord>> sealed_by(StoreView& view, Ino ino, uint32_t end, Stamp at);
// Whether nothing adds to a sealed version or replaces it, so that it goes only when it is removed for good.
bool is_final(Core::Impl& core, Ino ino, const InodeRecord& version);
// Of these, the ones that a name showed in [since, end): the one that was current at `since` and those sealed within.
std::vector<const ObjectVersion*> versions_within(const std::vector<ObjectVersion>& versions, const NameSpan& span);

// A version or a delete marker as the names of `spans` show it.
struct ShownVersion {
  std::string name;  // version_file_name()
  Stamp at = 0;
  bool marker = false;
  bool current = false;  // the content of a file that has this name now
  NameSpan span;
  ObjectVersion version;  // not for markers
};
// With the attributes of the moment before the next one began.
inline TagsOf tags_of(const ShownVersion& shown) {
  if (shown.marker) return {};
  return {shown.span.ino, shown.version.ceased == kForever ? 0 : shown.version.ceased - 1};
}
// What the spans that are no directories show, oldest first, each version once.
Result<std::vector<ShownVersion>> shown_versions(Core::Impl& core, const std::vector<NameSpan>& spans);
// The one of them that has the name.
Result<std::optional<ShownVersion>> shown_version(Core::Impl& core, const std::vector<NameSpan>& spans,
                                                  std::string_view name);

// One of them as `pail versions` lists it (versions_list.cc).
VersionEntry version_entry(const Core::Impl& core, const ShownVersion& shown);
// Whether the caller gets to .versions of a bucket's directory, through which all of its versions are reached.
Status may_enter_versions(Core::Impl& core, const Caller& caller, Ino root);
// What a path stands or stood for, in directories that the caller may look names up in; `lists`: and the last of which
// he may list, as ls(1) does in .versions.
Result<std::vector<NameSpan>> spans_of(Core::Impl& core, const Caller& caller, Ino root, std::string_view path,
                                       bool lists = false);
// The version that is called so, or has that id.
Result<ShownVersion> version_of(Core::Impl& core, const std::vector<NameSpan>& spans, std::string_view path,
                                std::string_view version);

// Permanent deletion (version_removal.cc, undelete.cc); the caller has passed the gate. A version that is the current
// content of a file, or a marker that follows from a directory's removal, is kNotPermitted. Without the newest marker
// of a name the version before it is current again.
Status remove_object_version(Core::Impl& core, const Caller& caller, const NameSpan& span, const ObjectVersion& version,
                             bool bypass_governance = false);
Status remove_marker(Core::Impl& core, const Caller& caller, const NameSpan& span);

// The id in a name that version_file_name() made; empty in any other.
std::string version_file_id(std::string_view name);
// "20261123T145600.123456789Z-ID": UTC; `id` as in format_version_id(), or "null".
std::string version_file_name(Stamp at, std::string_view id, bool marker);
std::string version_id_text(const VersionInfo& version);
std::string marker_id_text(const NameSpan& span);
std::string id_text(const ShownVersion& shown);
// What policies decide about where a version is named by a path: that path and, where policies take part, all that its
// file has.
Result<std::vector<std::string>> keys_of(const Core::Impl& core, const ShownVersion& shown, std::string_view path);
// Whether a real name would be taken for a version's, or begins with '@': it is shown with '@' before it.
bool name_needs_escape(std::string_view name);
// The time in a version's name. nullopt: it is none, or none that a stamp can be.
std::optional<Stamp> version_time(std::string_view name);

}  // namespace pailfs
