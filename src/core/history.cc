#include "core/history.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/codec.h"
#include "core/content.h"
#include "core/decision_trace.h"
#include "core/object_keys.h"
#include "core/path.h"
#include "core/scan.h"

namespace pailfs {

namespace {

// 20261123T145600.123456789Z-ID
constexpr size_t kTimeLength = 27;

constexpr uint64_t kSlotEnd = uint64_t{1} << 63;

// Cuts a name's span to the time its directory bore the path. Nothing is left: false.
bool clip(NameSpan& span, const DirectorySpan& directory) {
  span.since = std::max(span.since, directory.since);
  if (span.end > directory.end) {
    span.end = directory.end;
    span.kind = directory.kind;
    span.marker = directory.marker;
    span.null_marker = directory.null_marker;
    span.uid = directory.uid;
    span.derived = true;
  }
  return span.since < span.end;
}

Result<NameSpan> ended_span(const StoreView::Entry& entry, std::string& name) {
  PAILFS_ASSIGN(EndedDirent ended, decode_ended(entry.value));
  Decoder key(std::string_view(entry.key).substr(1));
  NameSpan span;
  span.parent = key.be64();
  span.slot = key.be64();
  span.ino = ended.ino;
  span.type = ended.type;
  span.since = ended.since;
  span.end = ended.end;
  span.kind = ended.kind;
  span.marker = ended.marker;
  span.null_marker = ended.null_marker;
  span.uid = ended.uid;
  name = std::move(ended.name);
  return span;
}

NameSpan live_span(Ino parent, uint64_t slot, const Dirent& entry) {
  NameSpan span;
  span.parent = parent;
  span.slot = slot;
  span.ino = entry.ino;
  span.type = entry.type;
  span.since = entry.since;
  return span;
}

Status spans_in(Core::Impl& core, const DirectorySpan& directory, std::string_view name, std::vector<NameSpan>& out) {
  const uint64_t group = core.slot_group(directory.ino, name);
  PAILFS_TRY(scan_range(core.store, bucket_of(directory.ino), keys::ended(directory.ino, group, 0),
                        keys::ended(directory.ino, group + 8, 0), [&](const StoreView::Entry& entry) -> Result<bool> {
                          std::string ended;
                          PAILFS_ASSIGN(NameSpan span, ended_span(entry, ended));
                          if (ended == name && clip(span, directory)) out.push_back(span);
                          return true;
                        }));
  PAILFS_ASSIGN(const auto found, core.find(directory.ino, name));
  if (!found) return {};
  NameSpan span = live_span(directory.ino, found->slot, found->entry);
  if (clip(span, directory)) out.push_back(span);
  return {};
}

void by_beginning(std::vector<NameSpan>& spans) {
  std::sort(spans.begin(), spans.end(), [](const NameSpan& a, const NameSpan& b) { return a.since < b.since; });
}

bool is_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<std::vector<NameSpan>> name_spans(Core::Impl& core, const std::vector<DirectorySpan>& directories,
                                         std::string_view name) {
  std::vector<NameSpan> out;
  for (const DirectorySpan& directory : directories) PAILFS_TRY(spans_in(core, directory, name, out));
  by_beginning(out);
  return out;
}

std::vector<DirectorySpan> directories_of(const std::vector<NameSpan>& spans) {
  std::vector<DirectorySpan> out;
  for (const NameSpan& span : spans) {
    if (S_ISDIR(span.type))
      out.push_back({span.ino, span.since, span.end, span.kind, span.marker, span.null_marker, span.uid});
  }
  return out;
}

namespace {

// The next entry of one kind in a directory, decoded: ended ones ('h') or live ones ('d').
class SpanReader {
 public:
  SpanReader(Core::Impl& core, Ino directory, bool ended)
      : directory_(directory),
        ended_(ended),
        range_(core.store, bucket_of(directory), ended ? keys::ended(directory, 0, 0) : keys::dirent(directory, 0),
               ended ? keys::ended(directory, kSlotEnd, 0) : keys::dirent(directory, kSlotEnd)) {}

  Status advance() {
    PAILFS_ASSIGN(const StoreView::Entry* entry, range_.next());
    at_end = entry == nullptr;
    if (at_end) return {};
    if (ended_) {
      PAILFS_ASSIGN(span, ended_span(*entry, name));
      return {};
    }
    PAILFS_ASSIGN(Dirent dirent, decode_dirent(entry->value));
    Decoder key(std::string_view(entry->key).substr(1 + sizeof(Ino)));
    span = live_span(directory_, key.be64(), dirent);
    name = std::move(dirent.name);
    return {};
  }
  uint64_t group() const { return at_end ? kSlotEnd : span.slot >> 3; }

  bool at_end = false;
  std::string name;
  NameSpan span;

 private:
  const Ino directory_;
  const bool ended_;
  RangeReader range_;
};

}  // namespace

// Both kinds are ordered by slot, and all spans of a name are in one group of slots: the two are read side by side.
Status each_name(Core::Impl& core, const DirectorySpan& directory,
                 const std::function<Status(const std::string& name, const std::vector<NameSpan>& spans)>& visit) {
  SpanReader ended(core, directory.ino, true);
  SpanReader live(core, directory.ino, false);
  PAILFS_TRY(ended.advance());
  PAILFS_TRY(live.advance());
  while (!ended.at_end || !live.at_end) {
    const uint64_t group = std::min(ended.group(), live.group());
    std::map<std::string, std::vector<NameSpan>> names;
    for (SpanReader* reader : {&ended, &live}) {
      while (reader->group() == group) {
        if (!reader->name.empty() && clip(reader->span, directory)) names[reader->name].push_back(reader->span);
        PAILFS_TRY(reader->advance());
      }
    }
    for (auto& [name, spans] : names) {
      by_beginning(spans);
      PAILFS_TRY(visit(name, spans));
    }
  }
  return {};
}

Result<std::vector<DirectorySpan>> permitted(Core::Impl& core, const Caller& caller,
                                             const std::vector<DirectorySpan>& directories, Need need,
                                             const std::string& path) {
  std::vector<DirectorySpan> out;
  for (const DirectorySpan& directory : directories) {
    Attributes attributes;  // of one whose record is gone: mode 0
    attributes.ino = directory.ino;
    attributes.mode = S_IFDIR;
    const Result<InodePtr> inode = core.inodes.get(directory.ino);
    if (inode) {
      ReaderLock lock((*inode)->lock);
      attributes = Core::Impl::attributes(directory.ino, (*inode)->record);
    } else if (inode.error().code != Code::kNotFound) {
      return std::unexpected(inode.error());
    }
    AccessRequest request{caller, Action::kListBucketVersions, need, attributes};
    request.keys = std::span(&path, 1);
    if (core.gate.check(request)) out.push_back(directory);
  }
  return out;
}

namespace {

// An inode whose content is sealed, unless somebody has it open for writing. Null: it is gone.
Result<InodePtr> settled(Core::Impl& core, Ino ino) {
  Result<InodePtr> found = core.inodes.get(ino);
  if (!found) {
    if (found.error().code == Code::kNotFound) return nullptr;
    return std::unexpected(std::move(found).error());
  }
  bool unsettled = false;
  {
    ReaderLock lock((*found)->lock);
    unsettled = (*found)->record.dirty && (*found)->writers == 0;
  }
  if (unsettled && !only_explains()) core.settle(*found);
  return found;
}

}  // namespace

Result<std::vector<ObjectVersion>> object_versions(Core::Impl& core, Ino ino) {
  std::vector<ObjectVersion> out;
  PAILFS_ASSIGN(const InodePtr found, settled(core, ino));
  if (found == nullptr) return out;
  Inode& inode = *found;
  ReaderLock lock(inode.lock);
  if (inode.gone) return out;
  PAILFS_TRY(scan_range(core.store, bucket_of(ino), keys::version(ino, 0), keys::version(ino, ~0u),
                        [&](const StoreView::Entry& entry) -> Result<bool> {
                          ObjectVersion version;
                          PAILFS_ASSIGN(version.record, decode_inode(entry.value));
                          out.push_back(std::move(version));
                          return true;
                        }));
  if (inode.record.sealed) {
    ObjectVersion version;
    version.record = inode.record;
    version.own = true;
    version.current = inode.record.nlink > 0;
    out.push_back(std::move(version));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].vseq = out[i].record.vseq;
    if (i + 1 < out.size()) out[i].ceased = out[i + 1].record.version.sealed;
    const InodeRecord& record = out[i].record;
    if (record.ceased != 0 && record.resumed == 0) out[i].ceased = record.ceased;
  }
  return out;
}

// Versions are sealed in the order of their numbers.
Result<std::optional<InodeRecord>> sealed_by(StoreView& view, Ino ino, uint32_t end, Stamp at) {
  std::optional<InodeRecord> best;
  for (uint32_t low = 1, high = end; low < high;) {
    const uint32_t middle = low + (high - low) / 2;
    PAILFS_ASSIGN(const auto entry,
                  view.last_before(bucket_of(ino), keys::version(ino, middle + 1), keys::version(ino, low)));
    if (!entry) {
      low = middle + 1;
      continue;
    }
    PAILFS_ASSIGN(InodeRecord version, decode_inode(entry->value));
    if (version.version.sealed <= at) {
      best = std::move(version);
      low = middle + 1;
    } else {
      high = version.vseq;
    }
  }
  return best;
}

Result<std::optional<ObjectVersion>> object_version(Core::Impl& core, Ino ino, Stamp sealed) {
  PAILFS_ASSIGN(const InodePtr found, settled(core, ino));
  if (found == nullptr) return std::nullopt;
  ReaderLock lock(found->lock);
  const InodeRecord& record = found->record;
  if (found->gone) return std::nullopt;
  ObjectVersion out;
  if (record.sealed && record.version.sealed == sealed) {
    out.record = record;
    out.own = true;
    out.current = record.nlink > 0;
  } else {
    StoreView view = core.store.view();
    PAILFS_ASSIGN(auto version, sealed_by(view, ino, record.vseq, sealed));
    if (!version || version->version.sealed != sealed) return std::nullopt;
    out.record = std::move(*version);
    PAILFS_ASSIGN(const auto next,
                  view.seek(bucket_of(ino), keys::version(ino, out.record.vseq + 1), keys::version(ino, record.vseq)));
    if (next) {
      PAILFS_ASSIGN(const InodeRecord newer, decode_inode(next->value));
      out.ceased = newer.version.sealed;
    } else if (record.sealed) {
      out.ceased = record.version.sealed;
    }
  }
  out.vseq = out.record.vseq;
  if (out.record.ceased != 0 && out.record.resumed == 0) out.ceased = out.record.ceased;
  return out;
}

bool is_final(Core::Impl& core, Ino ino, const InodeRecord& version) {
  // A null version goes when another takes its place.
  if (version.version.null_id || core.versioning(bucket_of(ino)) != Versioning::kEnabled) return false;
  const InodePtr inode = core.inodes.cached(ino);
  if (inode == nullptr) return true;  // nobody has it open
  ReaderLock lock(inode->lock);
  const InodeRecord& record = inode->record;
  if (record.vseq != version.vseq) return true;
  // A provisional seal may have gone on since the version was read.
  return inode->provisional == 0 && record.sealed && record.version.sealed == version.version.sealed;
}

namespace {

bool is_within(const ObjectVersion& version, const NameSpan& span) {
  const Stamp sealed = version.record.version.sealed;
  // Sealed before the name came, and still what it showed when it came.
  return sealed < span.end && (sealed >= span.since || version.ceased > span.since);
}

}  // namespace

std::vector<const ObjectVersion*> versions_within(const std::vector<ObjectVersion>& versions, const NameSpan& span) {
  std::vector<const ObjectVersion*> out;
  for (const ObjectVersion& version : versions) {
    if (is_within(version, span)) out.push_back(&version);
  }
  return out;
}

namespace {

ShownVersion shown_content(const NameSpan& span, ObjectVersion version) {
  const VersionInfo& info = version.record.version;
  return {version_file_name(info.sealed, version_id_text(info), false),
          info.sealed,
          false,
          false,
          span,
          std::move(version)};
}

ShownVersion shown_marker(const NameSpan& span) {
  return {version_file_name(span.end, marker_id_text(span), true), span.end, true, false, span, {}};
}

}  // namespace

Result<std::vector<ShownVersion>> shown_versions(Core::Impl& core, const std::vector<NameSpan>& spans) {
  std::map<Ino, std::vector<ObjectVersion>> objects;
  std::map<std::pair<Ino, uint32_t>, size_t> seen;
  std::vector<ShownVersion> out;
  for (const NameSpan& span : spans) {
    if (S_ISDIR(span.type)) continue;
    if (!objects.contains(span.ino)) {
      PAILFS_ASSIGN(objects[span.ino], object_versions(core, span.ino));
    }
    for (const ObjectVersion* version : versions_within(objects[span.ino], span)) {
      const bool current = version->current && span.live();
      const auto [known, added] = seen.emplace(std::pair(span.ino, version->vseq), out.size());
      if (!added) {
        out[known->second].current |= current;
        continue;
      }
      out.push_back(shown_content(span, *version));
      out.back().current = current;
    }
    if (span.has_marker()) out.push_back(shown_marker(span));
  }
  std::sort(out.begin(), out.end(),
            [](const ShownVersion& a, const ShownVersion& b) { return a.at != b.at ? a.at < b.at : a.name < b.name; });
  return out;
}

Result<std::optional<ShownVersion>> shown_version(Core::Impl& core, const std::vector<NameSpan>& spans,
                                                  std::string_view name) {
  const auto at = version_time(name);
  if (!at) return std::nullopt;
  std::optional<ShownVersion> out;
  std::optional<ObjectVersion> version;
  Ino of = 0;
  for (const NameSpan& span : spans) {
    if (S_ISDIR(span.type) || (out && out->span.ino != span.ino)) continue;
    if (span.has_marker() && span.end == *at) {
      if (ShownVersion marker = shown_marker(span); marker.name == name) return marker;
    }
    if (of != span.ino) {
      PAILFS_ASSIGN(version, object_version(core, span.ino, *at));
      of = span.ino;
    }
    if (!version || !is_within(*version, span)) continue;
    if (!out) {
      ShownVersion shown = shown_content(span, *version);
      if (shown.name != name) continue;
      out = std::move(shown);
    }
    out->current |= version->current && span.live();
  }
  return out;
}

std::string version_id_text(const VersionInfo& version) {
  return version.null_id ? "null" : format_version_id(version.id);
}

std::string marker_id_text(const NameSpan& span) { return span.null_marker ? "null" : format_version_id(span.marker); }

std::string id_text(const ShownVersion& shown) {
  return shown.marker ? marker_id_text(shown.span) : version_id_text(shown.version.record.version);
}

std::string version_file_name(Stamp at, std::string_view id, bool marker) {
  // By hand: what floor() leaves cannot be told in nanoseconds on the first day of all.
  const Stamp rest = (at % kSecond + kSecond) % kSecond;
  const std::chrono::sys_seconds whole{std::chrono::seconds(at / kSecond - (at % kSecond < 0 ? 1 : 0))};
  const auto day = std::chrono::floor<std::chrono::days>(whole);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(whole - day);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}.{:09}Z-{}{}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), rest, id, marker ? ".deleted" : "");
}

Result<std::vector<std::string>> keys_of(const Core::Impl& core, const ShownVersion& shown, std::string_view path) {
  std::vector<std::string> keys;
  if (!shown.marker && core.gate.has_policies(bucket_of(shown.span.ino))) {
    PAILFS_ASSIGN(keys, core.keys->keys_of(shown.span.ino));
  }
  keys.emplace_back(path);
  return keys;
}

std::string version_file_id(std::string_view name) {
  if (name.size() < kTimeLength || name[8] != 'T' || name[15] != '.' || name[25] != 'Z' || name[26] != '-') return {};
  if (!is_digits(name.substr(0, 8)) || !is_digits(name.substr(9, 6)) || !is_digits(name.substr(16, 9))) return {};
  std::string_view id = name.substr(kTimeLength);
  if (id.ends_with(".deleted")) id.remove_suffix(8);
  return id == "null" || parse_version_id(id) ? std::string(id) : std::string();
}

bool name_needs_escape(std::string_view name) { return name.starts_with('@') || !version_file_id(name).empty(); }

std::optional<Stamp> version_time(std::string_view name) {
  if (name.starts_with('@') || !name_needs_escape(name)) return std::nullopt;
  const auto number = [&](size_t from, size_t length) {
    int64_t out = 0;
    for (const char digit : name.substr(from, length)) out = out * 10 + (digit - '0');
    return out;
  };
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(number(0, 4))),
                                         std::chrono::month(static_cast<unsigned>(number(4, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(6, 2))));
  if (!date.ok() || number(0, 4) < 1678 || number(0, 4) > 2261) return std::nullopt;  // what 64 bits of ns can be
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds = days * 86400 + number(9, 2) * 3600 + number(11, 2) * 60 + number(13, 2);
  return seconds * kSecond + number(16, 9);
}

}  // namespace pailfs
