#include "core/versions_view.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/codec.h"
#include "base/logging.h"
#include "core/content.h"
#include "core/object_keys.h"
#include "core/path.h"
#include "core/s3_xattrs.h"

namespace pailfs {

namespace {

constexpr uint64_t kDotCookie = 1;
constexpr size_t kListers = 4096;
constexpr Time kListerTime = 3'600'000'000'000;
constexpr uint64_t kDotDotCookie = 2;
constexpr uint64_t kNumberMask = (uint64_t{1} << kBucketShift) - 1;

std::unexpected<Error> forgotten() { return fail(Code::kNotFound, "a place in .versions that is gone"); }

uint64_t first_bits(const std::array<char, 16>& token) { return Decoder({token.data(), token.size()}).be64(); }

// "@2h ago", but not a real name that begins so, which has another @ before it, or reads like a version's.
bool names_a_moment(std::string_view name) {
  return name.starts_with('@') && !name.starts_with("@@") && !name_needs_escape(name.substr(1));
}

std::string escaped(const std::string& name) { return name_needs_escape(name) ? "@" + name : name; }

constexpr uint32_t kReadableBits = 0555;  // of directories that are none: they show every version of a name

// As stat(2) shows a version: what it was. `own`: the inode's own content, whose attributes may change.
Attributes version_attributes(Ino ino, const InodeRecord& record, bool own) {
  Attributes out = Core::Impl::attributes(ino, record);
  out.nlink = 1;
  out.fixed = !own && !record.version.null_id;
  return out;
}

Attributes marker_attributes(const ShownVersion& shown) {
  Attributes out;
  out.mode = S_IFREG;
  out.nlink = 1;
  out.uid = shown.span.uid;
  out.atime = out.mtime = out.ctime = out.btime = shown.at;
  out.fixed = !shown.span.null_marker;
  return out;
}

}  // namespace

void VersionsView::show(Place& place, const ShownVersion& version) {
  place.version = version.name;
  if (version.marker) return;
  place.ino = version.span.ino;
  place.vseq = version.version.vseq;
}

// --- Numbers

Result<VersionsView::Place> VersionsView::place(Ino ino) const {
  MutexLock lock(mutex_);
  const auto node = nodes_.find(ino);
  if (node == nodes_.end()) return forgotten();
  return node->second.place;
}

Ino VersionsView::number(const Place& place) const {
  Encoder path;
  path.be64(place.root);
  for (const std::string& name : place.names) path.bytes(name);
  path.u8(0);
  path.bytes(place.version);
  path.i64(place.moment);
  if (place.moment != 0) path.be64(place.ino);
  const Scope bucket = place.bucket();
  uint64_t within = first_bits(core_.store.token(bucket, path.str())) & kNumberMask;
  for (;; ++within) {
    const Ino ino = kVirtualBit | Ino{bucket} << kBucketShift | (within & kNumberMask);
    const auto node = nodes_.find(ino);
    if (node == nodes_.end() || node->second.place == place) return ino;
  }
}

Ino VersionsView::remember(const Place& place) {
  MutexLock lock(mutex_);
  const Ino ino = number(place);
  Node& node = nodes_[ino];
  if (node.references++ == 0) node.place = place;
  if (!node.place.key) node.place.key = place.key;
  return ino;
}

void VersionsView::forget(Ino ino, uint64_t count) {
  MutexLock lock(mutex_);
  const auto node = nodes_.find(ino);
  if (node == nodes_.end()) return;
  if (node->second.references > count) {
    node->second.references -= count;
  } else {
    nodes_.erase(node);
  }
}

// --- Resolving

Result<VersionsView::Resolved> VersionsView::resolve(const Place& place) {
  if (!core_.store.has_scope(place.bucket()) || core_.deleting(place.bucket())) return forgotten();
  Resolved out;
  DirectorySpan root;
  root.ino = place.root;
  out.directories.push_back(root);
  for (const std::string& name : place.names) {
    out.parents = std::move(out.directories);
    PAILFS_ASSIGN(out.spans, name_spans(core_, out.parents, name));
    out.directories = directories_of(out.spans);
  }
  return out;
}

bool VersionsView::open_to_all(const std::vector<DirectorySpan>& directories) {
  return std::ranges::all_of(directories, [&](const DirectorySpan& directory) {
    const Result<InodePtr> inode = core_.inodes.get(directory.ino);
    if (!inode) return false;
    ReaderLock lock((*inode)->lock);
    return core_.gate.open_to_all(Core::Impl::attributes(directory.ino, (*inode)->record));
  });
}

NameLasts VersionsView::lasting(Scope bucket, bool open_to_all) const {
  if (core_.versioning(bucket) != Versioning::kEnabled || core_.gate.has_policies(bucket)) return NameLasts::kNo;
  return open_to_all ? NameLasts::kForAll : NameLasts::kForCaller;
}

// Down the path through what the caller may search at every step: a directory that bore the path once is no way into
// one that is closed now.
Result<VersionsView::Resolved> VersionsView::resolve_for(const Caller& caller, const Place& place, Need need) {
  if (place.is_file()) return fail(Code::kNotDirectory, "a version is not a directory");
  if (!core_.store.has_scope(place.bucket()) || core_.deleting(place.bucket())) return forgotten();
  Resolved out;
  std::string path;
  if (core_.gate.has_policies(place.bucket())) {
    PAILFS_ASSIGN(path, core_.keys->path_of(place.root));
  }
  DirectorySpan root;
  root.ino = place.root;
  std::vector<DirectorySpan> all{root};
  bool open = open_to_all(all), denied = false;
  PAILFS_ASSIGN(out.directories, permitted(core_, caller, all, place.names.empty() ? need : Need::kSearch, path));
  denied = out.directories.empty();
  for (size_t i = 0; i < place.names.size(); ++i) {
    const bool last = i + 1 == place.names.size();
    out.parents = std::move(out.directories);
    PAILFS_ASSIGN(out.spans, name_spans(core_, out.parents, place.names[i]));
    all = directories_of(out.spans);
    open = open && open_to_all(all);
    if (last && need != Need::kSearch) {
      PAILFS_ASSIGN(out.parents, permitted(core_, caller, out.parents, need, path));
    }
    add_name(path, place.names[i]);
    PAILFS_ASSIGN(out.directories, permitted(core_, caller, all, last ? need : Need::kSearch, path));
    denied = denied || (!all.empty() && out.directories.empty());
  }
  out.open_to_all = open;
  out.closed = !all.empty() && out.directories.empty();
  std::erase_if(out.spans, [&](const NameSpan& span) {
    return std::ranges::none_of(out.parents, [&](const DirectorySpan& parent) { return parent.ino == span.parent; });
  });
  if (out.spans.empty() && out.directories.empty()) {
    if (denied) return fail(Code::kAccessDenied, "access denied");
    PAILFS_ASSIGN(const Resolved whole, resolve(place));
    if (whole.spans.empty() && whole.directories.empty()) return forgotten();
    return fail(Code::kAccessDenied, "access denied");
  }
  return out;
}

Result<ShownVersion> VersionsView::find_version(const Resolved& resolved, std::string_view name) {
  PAILFS_ASSIGN(auto version, shown_version(core_, resolved.spans, name));
  if (!version) return fail(Code::kNotFound, "no such version");
  return std::move(*version);
}

Result<VersionsView::Found> VersionsView::child(const Caller& caller, const Place& parent, std::string_view name) {
  PAILFS_ASSIGN(const Resolved resolved, resolve_for(caller, parent, Need::kSearch));
  Found found;
  Place& out = found.place;
  out.root = parent.root;
  out.names = parent.names;
  found.lasts = lasting(parent.bucket(), resolved.open_to_all);
  if (name_needs_escape(name) && !name.starts_with('@')) {
    PAILFS_ASSIGN(const ShownVersion shown, find_version(resolved, name));
    show(out, shown);
    const bool stays = shown.marker ? !shown.span.null_marker : is_final(core_, out.ino, shown.version.record);
    if (!stays) found.lasts = NameLasts::kNo;
    return found;
  }
  std::string_view real = name;
  if (real.starts_with('@')) {
    real.remove_prefix(1);
    if (!name_needs_escape(real)) return fail(Code::kNotFound, "no such name");
  }
  if (real.size() > kNameMax) return fail(Code::kNameTooLong, "a name has at most 255 bytes");
  if (resolved.closed) return fail(Code::kAccessDenied, "access denied");
  PAILFS_ASSIGN(const auto spans, name_spans(core_, resolved.directories, real));
  if (spans.empty()) return fail(Code::kNotFound, "no such name");
  out.names.emplace_back(real);
  return found;
}

Result<Attributes> VersionsView::enter(const Caller& caller, Ino directory) {
  const Place out = versions_of(directory);
  PAILFS_ASSIGN(const Resolved resolved, resolve_for(caller, out, Need::kSearch));
  PAILFS_ASSIGN(Attributes shown, attributes(out));
  shown.name = lasting(out.bucket(), resolved.open_to_all);
  shown.ino = remember(out);
  return shown;
}

Result<Attributes> VersionsView::lookup(const Caller& caller, Ino parent, std::string_view name) {
  PAILFS_ASSIGN(Place above, place(parent));
  const bool enters = above.moment == 0 && above.names.empty() && !above.is_file() && names_a_moment(name);
  if (above.moment != 0 || enters) {
    PAILFS_ASSIGN(const Found found,
                  enters ? enter_moment(caller, above, name.substr(1)) : child_then(caller, above, name));
    PAILFS_ASSIGN(Attributes shown, attributes(found.place));
    shown.name = found.lasts;
    shown.ino = remember(found.place);
    return shown;
  }
  if (name == "." || name == "..") {
    if (name == ".." && above.names.empty()) {
      PAILFS_ASSIGN(const InodePtr root, core_.existing(above.root));
      return core_.reference(root);
    }
    if (name == "..") above.names.pop_back();
    PAILFS_ASSIGN(Attributes shown, attributes(above));
    shown.ino = remember(above);
    return shown;
  }
  PAILFS_ASSIGN(const Found found, child(caller, above, name));
  PAILFS_ASSIGN(Attributes shown, attributes(found.place));
  shown.name = found.lasts;
  shown.ino = remember(found.place);
  return shown;
}

// --- Attributes

// Of the latest of the directories that still has a record, without rights to write.
Result<std::optional<Attributes>> VersionsView::directory_attributes(const std::vector<DirectorySpan>& directories) {
  for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
    const Result<InodePtr> inode = core_.inodes.get(directory->ino);
    if (!inode && inode.error().code == Code::kNotFound) continue;
    if (!inode) return std::unexpected(inode.error());
    ReaderLock lock((*inode)->lock);
    Attributes out = Core::Impl::attributes(directory->ino, (*inode)->record);
    out.mode = S_IFDIR | (out.mode & kReadableBits);
    out.nlink = 2;
    return out;
  }
  return std::nullopt;
}

Result<InodeRecord> VersionsView::version_record(const Place& place, bool* own) {
  PAILFS_ASSIGN(const InodePtr inode, core_.existing(place.ino));
  ReaderLock lock(inode->lock);
  if (inode->gone) return forgotten();
  if (own != nullptr) *own = inode->record.vseq == place.vseq;
  return sealed_version(core_.store, *inode, place.vseq, version_time(place.version).value_or(0));
}

Result<Attributes> VersionsView::attributes(const Place& place) {
  if (place.moment != 0) return attributes_then(place);
  if (place.is_file() && place.ino != 0) {
    bool own = false;
    PAILFS_ASSIGN(const InodeRecord record, version_record(place, &own));
    return version_attributes(place.ino, record, own);
  }
  PAILFS_ASSIGN(const Resolved resolved, resolve(place));
  if (place.is_file()) {
    PAILFS_ASSIGN(const ShownVersion shown, find_version(resolved, place.version));
    return marker_attributes(shown);
  }
  if (resolved.spans.empty() && resolved.directories.empty()) return forgotten();
  PAILFS_ASSIGN(auto out, directory_attributes(resolved.directories));
  if (!out) {
    PAILFS_ASSIGN(out, directory_attributes(resolved.parents));
  }
  if (out) return *out;
  Attributes unknown;
  unknown.mode = S_IFDIR;
  unknown.nlink = 2;
  unknown.uid = core_.gate.account();
  return unknown;
}

Result<Attributes> VersionsView::getattr(const Caller& /*caller*/, Ino ino) {
  PAILFS_ASSIGN(const Place found, place(ino));
  PAILFS_ASSIGN(Attributes shown, attributes(found));
  shown.ino = ino;
  return shown;
}

Status VersionsView::access(const Caller& caller, Ino ino, int mask) {
  PAILFS_ASSIGN(const Place found, place(ino));
  if ((mask & W_OK) != 0) return fail(Code::kReadOnly, "versions are read-only");
  if (found.moment != 0) return access_then(caller, found, mask);
  if (!found.is_file()) {
    if ((mask & R_OK) != 0) PAILFS_TRY(resolve_for(caller, found, Need::kRead));
    if ((mask & X_OK) != 0) PAILFS_TRY(resolve_for(caller, found, Need::kSearch));
    return {};
  }
  PAILFS_ASSIGN(const Attributes shown, attributes(found));
  PAILFS_ASSIGN(const auto keys, keys_of(found));
  const ConditionValue id{kVersionIdKey, version_file_id(found.version)};
  AccessRequest request{caller, Action::kGetObjectVersion, Need::kRead, shown};
  request.keys = keys;
  request.conditions = std::span(&id, 1);
  PAILFS_ASSIGN(request.tags, tags_of(found));
  if ((mask & R_OK) != 0) PAILFS_TRY(core_.gate.check(request));
  request.need = Need::kExecute;
  if ((mask & X_OK) != 0) PAILFS_TRY(core_.gate.check(request));
  return {};
}

// --- Listing

// A shell that expands rm VERSION* is not the process that removes; rm -r is.
bool VersionsView::lists_and_removes(const Caller& caller) {
  MutexLock lock(mutex_);
  const auto listed = listers_.find(caller.pid);
  return caller.pid != 0 && listed != listers_.end() && core_.now() - listed->second < kListerTime;
}

void VersionsView::note_lister(const Caller& caller) {
  if (caller.pid == 0) return;
  MutexLock lock(mutex_);
  const Time now = core_.now();
  if (listers_.size() >= kListers)
    std::erase_if(listers_, [&](const auto& one) { return now - one.second >= kListerTime; });
  if (listers_.size() >= kListers) listers_.clear();
  listers_[caller.pid] = now;
}

Status VersionsView::opendir(const Caller& caller, Ino ino) {
  note_lister(caller);
  PAILFS_ASSIGN(const Place found, place(ino));
  if (found.moment != 0) return opendir_then(caller, found);
  PAILFS_TRY(resolve_for(caller, found, Need::kRead));
  return {};
}

Result<VersionsView::Listing> VersionsView::list(const Caller& caller, const Place& place) {
  PAILFS_ASSIGN(const Resolved resolved, resolve_for(caller, place, Need::kRead));
  Listing listing;
  const NameLasts lasts = lasting(place.bucket(), resolved.open_to_all);
  const auto add = [&](std::string name, uint32_t type) -> Listed& {
    Listed& listed = listing.emplace_back();
    listed.entry.cookie = std::max(first_bits(core_.store.token(place.bucket(), name)) >> 1, kDotDotCookie + 1);
    listed.entry.name = std::move(name);
    listed.entry.type = type;
    listed.place = place;
    listed.lasts = lasts;
    return listed;
  };
  PAILFS_ASSIGN(const auto versions, shown_versions(core_, resolved.spans));
  for (const ShownVersion& version : versions) {
    Listed& listed = add(version.name, version.marker ? S_IFREG : version.version.record.mode & S_IFMT);
    listed.is_version = true;
    show(listed.place, version);
    if (version.marker) {
      if (version.span.null_marker) listed.lasts = NameLasts::kNo;
      listed.entry.attributes = marker_attributes(version);
    } else {
      const InodeRecord& record = version.version.record;
      if (!is_final(core_, version.span.ino, record)) listed.lasts = NameLasts::kNo;
      listed.entry.attributes = version_attributes(version.span.ino, record, version.version.own);
    }
  }
  if (place.names.empty()) {
    for (std::string& name : offered_moments(place.bucket())) add(std::move(name), S_IFDIR).is_moment = true;
  }
  std::set<std::string> names;
  for (const DirectorySpan& directory : resolved.directories) {
    PAILFS_TRY(each_name(core_, directory, [&](const std::string& name, const std::vector<NameSpan>&) -> Status {
      if (names.insert(name).second) add(escaped(name), S_IFDIR).place.names.push_back(name);
      return {};
    }));
  }
  std::sort(listing.begin(), listing.end(), [](const Listed& a, const Listed& b) {
    return a.entry.cookie != b.entry.cookie ? a.entry.cookie < b.entry.cookie : a.entry.name < b.entry.name;
  });
  for (size_t i = 1; i < listing.size(); ++i) {
    listing[i].entry.cookie = std::max(listing[i].entry.cookie, listing[i - 1].entry.cookie + 1);
  }
  return listing;
}

bool VersionsView::emit_entries(const Listing& listing, uint64_t cookie, bool plus,
                                const std::function<bool(const DirectoryEntry&)>& emit) {
  auto next = std::upper_bound(listing.begin(), listing.end(), cookie,
                               [](uint64_t value, const Listed& listed) { return value < listed.entry.cookie; });
  for (; next != listing.end(); ++next) {
    DirectoryEntry entry = next->entry;
    if (plus && !next->is_version && !next->is_moment) {
      if (auto shown = attributes(next->place)) entry.attributes = *shown;
    }
    const bool counted = plus && entry.attributes.mode != 0;
    if (counted) {
      entry.attributes.ino = entry.ino = remember(next->place);
      entry.attributes.name = next->lasts;
    } else {
      entry.attributes = {};
      MutexLock lock(mutex_);
      entry.ino = number(next->place);
    }
    if (!emit(entry)) {
      if (counted) forget(entry.ino, 1);
      return false;
    }
  }
  return true;
}

Result<std::shared_ptr<const VersionsView::Listing>> VersionsView::listing(const Caller& caller, Ino ino,
                                                                           const Place& place, bool from_start) {
  if (!from_start) {
    MutexLock lock(mutex_);
    const auto node = nodes_.find(ino);
    if (node != nodes_.end() && node->second.listing != nullptr && node->second.uid == caller.uid &&
        node->second.gid == caller.gid && node->second.pid == caller.pid) {
      return node->second.listing;
    }
  }
  PAILFS_ASSIGN(Listing made, list(caller, place));
  return std::make_shared<const Listing>(std::move(made));
}

void VersionsView::keep_listing(const Caller& caller, Ino ino, std::shared_ptr<const Listing> listing) {
  MutexLock lock(mutex_);
  const auto node = nodes_.find(ino);
  if (node == nodes_.end()) return;
  node->second.listing = std::move(listing);
  node->second.uid = caller.uid;
  node->second.gid = caller.gid;
  node->second.pid = caller.pid;
}

Status VersionsView::readdir(const Caller& caller, Ino ino, uint64_t cookie, bool plus,
                             const std::function<bool(const DirectoryEntry&)>& emit) {
  PAILFS_ASSIGN(const Place here, place(ino));
  if (here.moment != 0) return readdir_then(caller, here, ino, cookie, plus, emit);
  if (cookie < kDotCookie) {
    if (!emit({.name = ".", .ino = ino, .type = S_IFDIR, .cookie = kDotCookie, .attributes = {}})) return {};
  }
  if (cookie < kDotDotCookie) {
    Ino up = here.root;
    if (!here.names.empty()) {
      Place above = here;
      above.names.pop_back();
      MutexLock lock(mutex_);
      up = number(above);
    }
    if (!emit({.name = "..", .ino = up, .type = S_IFDIR, .cookie = kDotDotCookie, .attributes = {}})) return {};
  }
  const bool from_start = cookie <= kDotDotCookie;
  PAILFS_ASSIGN(std::shared_ptr<const Listing> entries, listing(caller, ino, here, from_start));
  // Names are for who may read a directory, attributes for who may search it.
  const bool search = plus && resolve_for(caller, here, Need::kSearch).has_value();
  const bool finished = emit_entries(*entries, std::max(cookie, kDotDotCookie), search, emit);
  keep_listing(caller, ino, finished ? nullptr : std::move(entries));
  return {};
}

}  // namespace pailfs
