// Checking names: every entry leads to an inode of its type, every inode has as many names as it says, directories are
// where they say, and what has no name is there for a reason.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>

#include "base/codec.h"
#include "core/check.h"
#include "core/scan.h"
#include "core/verify.h"

namespace pailfs {

namespace {

// Link counts are counted for so many inode numbers at a time: twelve bytes each.
constexpr Ino kWindow = Ino{1} << 20;

// What leads to an inode.
struct Links {
  uint32_t names = 0;
  uint32_t subdirectories = 0;
  bool history = false;  // an ended entry names it
};

class NamesCheck {
 public:
  NamesCheck(Core::Impl& core, CheckReport& report, Scope bucket) : core_(core), report_(report), bucket_(bucket) {}

  Status run(const std::function<Status(Ino, const InodeRecord&)>& object);

 private:
  struct Suspect {
    Links links;
    Time ctime = 0;
  };
  Result<std::optional<InodeRecord>> record(Ino ino) const;
  Status entries(bool first, const std::function<void(Ino ino, Ino parent, bool directory)>& count);
  Status entry(Ino parent, uint64_t slot, const Dirent& dirent);
  // Once more, now that it looked wrong.
  Result<bool> still(Ino parent, uint64_t slot, const Dirent& dirent) const;
  Status history(bool first, const std::function<void(Ino ino)>& count);
  Status inodes(Ino low, const std::vector<Links>& links, const std::function<Status(Ino, const InodeRecord&)>& object);
  // What is wrong with the record of an inode to which these links lead; empty: nothing.
  Result<std::string> links_fault(Ino ino, const InodeRecord& record, const Links& links) const;
  Status suspects();
  Status orphans();
  Status xattrs();
  Status former_attributes();
  Status parent_pointers();

  Core::Impl& core_;
  CheckReport& report_;
  const Scope bucket_;
  std::map<Ino, Suspect> suspects_;
  Ino highest_ = 0;        // inode number met
  bool pointers_ = false;  // the bucket has parent pointers
};

Result<std::optional<InodeRecord>> NamesCheck::record(Ino ino) const {
  const Scope scope = bucket_of(ino);
  if (!core_.store.has_scope(scope) && scope != kStoreScope) return std::nullopt;
  PAILFS_ASSIGN(const auto value, core_.store.get(scope, keys::inode(ino)));
  if (!value) return std::nullopt;
  PAILFS_ASSIGN(InodeRecord decoded, decode_inode(*value));
  return std::optional(std::move(decoded));
}

Result<bool> NamesCheck::still(Ino parent, uint64_t slot, const Dirent& dirent) const {
  PAILFS_ASSIGN(const auto value, core_.store.get(bucket_of(parent), keys::dirent(parent, slot)));
  if (!value) return false;
  PAILFS_ASSIGN(const Dirent now, decode_dirent(*value));
  return now.ino == dirent.ino && now.since == dirent.since;
}

Status NamesCheck::entry(Ino parent, uint64_t slot, const Dirent& dirent) {
  const auto fault = [&]() -> Result<std::string> {
    if (core_.slot_group(parent, dirent.name) != slot - slot % 8) return "the entry lies where no lookup finds it";
    const Scope expected = parent == kRootIno ? bucket_of(dirent.ino) : bucket_;
    if (bucket_of(dirent.ino) != expected || is_virtual(dirent.ino))
      return "the entry names an inode of another bucket";
    const auto found = record(dirent.ino);
    if (!found) return fmt::format("inode {}: {}", dirent.ino, found.error().message);
    if (!*found) return fmt::format("the entry names inode {}, which is missing", dirent.ino);
    if (((*found)->mode & S_IFMT) != dirent.type) return "entry and inode are of different types";
    if (S_ISDIR((*found)->mode) && (*found)->parent != parent) return "the directory says that it is elsewhere";
    if (parent != kRootIno && pointers_) {
      PAILFS_ASSIGN(const auto pointer, core_.store.get(bucket_, keys::parent_pointer(dirent.ino, parent, slot)));
      if (!pointer) return fmt::format("inode {} does not know of this name", dirent.ino);
    }
    return std::string();
  };
  PAILFS_ASSIGN(const std::string first, fault());
  if (first.empty()) return {};
  // Under the tree lock nothing moves.
  MutexLock lock(core_.tree);
  PAILFS_ASSIGN(const bool there, still(parent, slot, dirent));
  if (!there) return {};
  PAILFS_ASSIGN(std::string sure, fault());
  if (!sure.empty()) report_.problem_at(parent, dirent.name, std::move(sure));
  return {};
}

Status NamesCheck::entries(bool first, const std::function<void(Ino ino, Ino parent, bool directory)>& count) {
  Ino parent = 0;
  return scan_for_check(report_, core_.store, bucket_, kind_begin('d', bucket_), kind_end('d', bucket_),
                        [&](const StoreView::Entry& found) -> Status {
                          Decoder key(std::string_view(found.key).substr(1));
                          const Ino directory = key.be64();
                          const uint64_t slot = key.be64();
                          const auto dirent = decode_dirent(found.value);
                          if (!dirent) {
                            if (first) report_.problem("name", directory, dirent.error().message);
                            return {};
                          }
                          if (first && directory != parent) {
                            parent = directory;
                            PAILFS_ASSIGN(const auto above, record(directory));
                            // A directory that went has taken its entries along.
                            PAILFS_ASSIGN(const auto again, core_.store.get(bucket_, found.key));
                            if (again && (!above || !S_ISDIR(above->mode)))
                              report_.problem("name", directory, "entries of no directory");
                          }
                          if (dirent->name.empty()) return {};
                          highest_ = std::max({highest_, dirent->ino, directory});
                          count(dirent->ino, directory, S_ISDIR(dirent->type));
                          return first ? entry(directory, slot, *dirent) : Status();
                        });
}

Status NamesCheck::history(bool first, const std::function<void(Ino ino)>& count) {
  return scan_for_check(report_, core_.store, bucket_, kind_begin('h', bucket_), kind_end('h', bucket_),
                        [&](const StoreView::Entry& found) -> Status {
                          const auto ended = decode_ended(found.value);
                          if (ended) {
                            count(ended->ino);
                          } else if (first) {
                            report_.problem("name", ino_of_key(found.key), ended.error().message);
                          }
                          return {};
                        });
}

Result<std::string> NamesCheck::links_fault(Ino ino, const InodeRecord& record, const Links& links) const {
  const bool root = ino == kRootIno || ino == bucket_root(bucket_);
  const bool directory = S_ISDIR(record.mode);
  if (record.nlink == 0) {
    if (links.names != 0) return fmt::format("has {} names and says that it has none", links.names);
    if (links.history) return std::string();
    PAILFS_ASSIGN(const auto orphan, core_.store.get(bucket_, keys::orphan(ino)));
    if (orphan) return std::string();
    return std::string("is kept, and nothing leads to it");
  }
  const uint32_t names = directory ? 1 : record.nlink;
  if (!root && links.names != names) return fmt::format("has {} names, and should have {}", links.names, names);
  const uint64_t expected = uint64_t{2} + links.subdirectories;
  if (directory && record.nlink != expected) {
    return fmt::format("counts {} links, and there are {}", record.nlink, expected);
  }
  return std::string();
}

Status NamesCheck::inodes(Ino low, const std::vector<Links>& links,
                          const std::function<Status(Ino, const InodeRecord&)>& object) {
  return scan_for_check(report_, core_.store, bucket_, keys::inode(low), keys::inode(low + kWindow),
                        [&](const StoreView::Entry& found) -> Status {
                          const Ino ino = ino_of_key(found.key);
                          const auto record = decode_inode(found.value);
                          if (!record) {
                            report_.problem("index", ino, record.error().message);
                            return {};
                          }
                          if (record->nlink > 0) {
                            ++(S_ISDIR(record->mode) ? report_.result.directories : report_.result.files);
                          }
                          const Links found_links = ino - low < links.size() ? links[ino - low] : Links{};
                          PAILFS_ASSIGN(const std::string fault, links_fault(ino, *record, found_links));
                          if (!fault.empty()) suspects_[ino].ctime = record->ctime;
                          return object(ino, *record);
                        });
}

// Counts again for those whose counts were wrong. Who was linked or unlinked meanwhile has another ctime.
Status NamesCheck::suspects() {
  if (suspects_.empty()) return {};
  PAILFS_TRY(entries(false, [&](Ino ino, Ino parent, bool directory) {
    if (const auto found = suspects_.find(ino); found != suspects_.end()) ++found->second.links.names;
    if (!directory) return;
    if (const auto found = suspects_.find(parent); found != suspects_.end()) ++found->second.links.subdirectories;
  }));
  PAILFS_TRY(history(false, [&](Ino ino) {
    if (const auto found = suspects_.find(ino); found != suspects_.end()) found->second.links.history = true;
  }));
  for (const auto& [ino, suspect] : suspects_) {
    PAILFS_ASSIGN(const auto now, record(ino));
    if (!now || now->ctime != suspect.ctime) continue;
    PAILFS_ASSIGN(std::string fault, links_fault(ino, *now, suspect.links));
    if (fault.empty()) continue;
    // One that was open without a name may have gone, and its orphan key with it, since the record was read.
    PAILFS_ASSIGN(const auto after, record(ino));
    if (after && after->ctime == suspect.ctime) report_.problem("name", ino, std::move(fault));
  }
  return {};
}

Status NamesCheck::orphans() {
  return scan_for_check(report_, core_.store, bucket_, kind_begin('o', bucket_), kind_end('o', bucket_),
                        [&](const StoreView::Entry& found) -> Status {
                          const Ino ino = ino_of_key(found.key);
                          PAILFS_ASSIGN(const auto inode, record(ino));
                          if (inode && inode->nlink == 0) return {};
                          MutexLock lock(core_.tree);
                          PAILFS_ASSIGN(const auto again, core_.store.get(bucket_, found.key));
                          if (again)
                            report_.problem("name", ino, "is listed as without a name, and has one or is missing");
                          return {};
                        });
}

Status NamesCheck::xattrs() {
  return scan_for_check(report_, core_.store, bucket_, kind_begin('x', bucket_), kind_end('x', bucket_),
                        [&](const StoreView::Entry& found) -> Status {
                          const Ino ino = ino_of_key(found.key);
                          const auto xattr = decode_xattr(found.value);
                          if (!xattr) {
                            report_.problem("index", ino, xattr.error().message);
                            return {};
                          }
                          PAILFS_ASSIGN(const auto inode, record(ino));
                          if (inode && inode->has_xattrs) return {};
                          PAILFS_ASSIGN(const auto again, core_.store.get(bucket_, found.key));
                          PAILFS_ASSIGN(const auto later, record(ino));
                          if (again && (!later || !later->has_xattrs))
                            report_.problem("name", ino, "has an extended attribute it does not know");
                          return {};
                        });
}

Status NamesCheck::former_attributes() {
  for (const char kind : {'a', 'y'}) {
    Ino owner = 0;  // the last one that was found
    PAILFS_TRY(scan_for_check(report_, core_.store, bucket_, kind_begin(kind, bucket_), kind_end(kind, bucket_),
                              [&](const StoreView::Entry& found) -> Status {
                                const Ino ino = ino_of_key(found.key);
                                Status parsed;
                                if (kind == 'a') {
                                  if (auto past = decode_inode(found.value); !past)
                                    parsed = std::unexpected(std::move(past).error());
                                } else if (auto past = decode_past_xattr(found.value); !past) {
                                  parsed = std::unexpected(std::move(past).error());
                                }
                                if (!parsed) report_.problem("index", ino, parsed.error().message);
                                if (ino == owner) return {};
                                PAILFS_ASSIGN(const auto inode, record(ino));
                                PAILFS_ASSIGN(const auto again, core_.store.get(bucket_, found.key));
                                if (inode || !again) {
                                  owner = ino;
                                  return {};
                                }
                                report_.problem("name", ino, "has former attributes, and is missing");
                                return {};
                              }));
  }
  return {};
}

Status NamesCheck::parent_pointers() {
  return scan_for_check(report_, core_.store, bucket_, kind_begin('w', bucket_), kind_end('w', bucket_),
                        [&](const StoreView::Entry& found) -> Status {
                          Decoder key(std::string_view(found.key).substr(1));
                          const Ino ino = key.be64(), parent = key.be64();
                          const std::string entry = keys::dirent(parent, key.be64());
                          const auto leads = [&]() -> Result<bool> {
                            PAILFS_ASSIGN(const auto value, core_.store.get(bucket_, entry));
                            const auto dirent = value ? decode_dirent(*value) : Result<Dirent>(Dirent());
                            return !dirent || dirent->ino == ino;  // of an entry that is damaged the scan above tells
                          };
                          PAILFS_ASSIGN(const bool right, leads());
                          if (right) return {};
                          MutexLock lock(core_.tree);
                          PAILFS_ASSIGN(const auto again, core_.store.get(bucket_, found.key));
                          PAILFS_ASSIGN(const bool later, leads());
                          if (again && !later) report_.problem("name", ino, "points to an entry that is not its own");
                          return {};
                        });
}

Status NamesCheck::run(const std::function<Status(Ino, const InodeRecord&)>& object) {
  const auto bucket = core_.bucket_record(bucket_);
  pointers_ = bucket && bucket->parent_pointers;
  const Ino base = Ino{bucket_} << kBucketShift;
  const Ino end = (Ino{bucket_} + 1) << kBucketShift;
  bool first = true;
  for (Ino low = base; low < end;) {
    std::vector<Links> links;  // up to the last one that something leads to
    const auto at = [&](Ino ino) -> Links* {
      if (ino < low || ino - low >= kWindow) return nullptr;
      if (ino - low >= links.size()) links.resize(ino - low + 1);
      return &links[ino - low];
    };
    PAILFS_TRY(entries(first, [&](Ino ino, Ino parent, bool directory) {
      if (Links* target = at(ino)) ++target->names;
      Links* above = directory ? at(parent) : nullptr;  // behind this, `target` may be elsewhere
      if (above != nullptr) ++above->subdirectories;
    }));
    PAILFS_TRY(history(first, [&](Ino ino) {
      if (Links* target = at(ino)) target->history = true;
    }));
    PAILFS_TRY(inodes(low, links, object));
    first = false;
    // On to the window of the next inode there is.
    PAILFS_ASSIGN(const auto next, core_.store.view().seek_key(keys::inode(low + kWindow), keys::inode(end)));
    if (!next) break;
    low = ino_of_key(*next);
  }
  PAILFS_TRY(suspects());
  PAILFS_TRY(orphans());
  PAILFS_TRY(former_attributes());
  PAILFS_TRY(parent_pointers());
  return xattrs();
}

}  // namespace

Status check_names(Core::Impl& core, CheckReport& report, Scope bucket,
                   const std::function<Status(Ino ino, const InodeRecord& record)>& object) {
  return NamesCheck(core, report, bucket).run(object);
}

}  // namespace pailfs
