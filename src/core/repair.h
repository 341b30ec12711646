// Putting a damaged store right, as far as what is left allows. Inside the core; Core::repair() is the way in.
//
// Runs alone, on a store that was opened for it (StoreOptions::repair). Every step reads the records as they are,
// writes those that are wrong anew in transactions of its own, and says so. Steps build on the ones before, whose
// changes they read; that is why a plan is the same run on a store that keeps its changes in memory.
//
//   records    values that do not verify are dropped
//   content    versions show units that can be read; the rest is marked as lost
//   names      every entry leads to an inode, every inode has its names; what has none goes to lost+found
//   room       what is counted about units, and what is dead
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/check.h"
#include "core/content.h"
#include "core/impl.h"

namespace pailfs {

inline constexpr std::string_view kLostFound = "lost+found";

class Repair {
 public:
  Repair(Store& store, uint32_t account, const Progress& progress);
  Result<RepairResult> run();

 private:
  // --- repair.cc
  // Visits every record of a kind in [from, end); `bad` gets the keys of those that do not verify. Both may commit.
  using Visit = std::function<Status(const StoreView::Entry&)>;
  using Bad = std::function<Status(const std::string& key, const Error& why)>;
  Status each(Scope scope, std::string from, const std::string& end, const Visit& visit, const Bad& bad);
  Status each_of(char kind, Scope bucket, const Visit& visit, const Bad& bad) {
    return each(bucket, kind_begin(kind, bucket), kind_end(kind, bucket), visit, bad);
  }
  Status ignore_bad(const std::string&, const Error&) { return {}; }
  Status put(const std::string& key, std::string value, Scope scope);
  Status erase(const std::string& key);
  Status commit(Transaction&& tx) { return impl_.commit(std::move(tx)); }
  void fixed(std::string_view kind, Ino ino, std::string what, std::string version = {}) {
    report_.problem(kind, ino, std::move(what), std::move(version));
  }
  Result<std::optional<InodeRecord>> inode(Ino ino);
  Status counters();
  Status counter(const std::string& key, uint64_t least, std::string_view what);
  Result<uint64_t> highest_number(Scope bucket);
  Result<Stamp> latest_stamp();
  Status buckets();
  Result<uint64_t> drop_all(Scope number);
  Status bucket(Scope number);
  Status policy(const BucketRecord& bucket, bool restored);
  Status public_access();
  Result<BucketRecord> restored_bucket(Scope number);
  Status make_directory(Ino ino, Ino parent);
  Status bucket_entries();
  Status identities();  // identity_check.cc
  void lost_changes();

  // --- repair_content.cc
  struct Version {
    InodeRecord record;
    bool current = false;
    bool changed = false;
  };
  struct ChunkRecord {
    uint32_t vseq = 0;
    ExtentList extents;
    bool unreadable = false;
    bool changed = false;
  };
  Status records(Scope bucket);
  Status lost_inode(Ino ino, const Error& why);
  Status content(Ino ino);
  Result<std::vector<Version>> chain(Ino ino, InodeRecord current);
  Status fix_chain(Ino ino, std::vector<Version>& chain);
  Status fix_chunks(Ino ino, std::span<Version> versions);
  Status fix_chunk(Ino ino, std::span<Version> versions, uint64_t chunk, std::vector<ChunkRecord>& records);
  Status fix_units(Ino ino, std::span<Version> versions, uint64_t chunk, std::vector<ChunkRecord>& records);
  void mark_lost(Ino ino, const InodeRecord& version, uint64_t chunk, uint64_t begin, uint64_t end);
  // repair_orphans.cc
  Status contents(Scope bucket);
  Status orphan_contents(Scope bucket);
  Status orphan_content(Ino cid);
  Status shared_units();

  // --- repair_names.cc
  struct Node {
    uint32_t names = 0;
    uint32_t subdirectories = 0;
    uint8_t type = 0;  // S_IFMT bits >> 12; 0: there is no such inode
    bool history = false;
    bool orphan = false;
    bool xattrs = false;
    bool stray = false;  // entries must not lead to it: it is not what it was
  };
  Status names(Scope bucket);
  Node* node(Ino ino);
  Node& make_node(Ino ino, uint32_t mode);
  Status scan_inodes(Scope bucket);
  Status scan_entries(Scope bucket);
  Status entry(const StoreView::Entry& found);
  Status drop_entry(Ino parent, uint64_t slot, const Dirent& entry, std::string why);
  Status erase_entry(Ino parent, uint64_t slot);
  Status scan_rest(Scope bucket);
  Status give_names(Scope bucket);
  Status fix_links(Scope bucket);
  Status parent_pointers(Scope bucket, bool told);  // whether the bucket had them
  Result<Ino> lost_found(Scope bucket);
  Status insert(Ino parent, const std::string& name, Ino ino, uint32_t type);

  Core::Impl impl_;
  Store& store_;
  CheckReport report_;
  RepairResult result_;
  std::vector<Scope> buckets_;

  // Of the bucket that is being repaired:
  Scope bucket_ = 0;
  std::vector<Node> nodes_;                              // by number, counted from the bucket's first
  std::set<Ino> strays_;                                 // inodes that an older version has taken the place of
  std::set<std::pair<Ino, uint32_t>> damaged_versions_;  // that show lost bytes
  std::set<Ino> shown_;                                  // contents that have chunk records and an inode
  Ino lost_found_ = 0;

  std::vector<OwnedStretch> stretches_;
};

}  // namespace pailfs
