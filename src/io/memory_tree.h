// The name space of MemoryEnv: directories as programs see them, as the medium holds them, and the changes between the
// two. Not thread-safe: MemoryEnv locks.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/memory_content.h"

namespace pailfs {

// What a power cut leaves; see MemoryEnv.
struct CrashPolicy {
  Unsynced data = Unsynced::kDrop;   // file content and sizes
  Unsynced names = Unsynced::kDrop;  // creations, renames, removals
  uint64_t seed = 0;                 // decides where either is kRandom; the same seed gives the same image
  // Where either is kChosen: which unsynced changes landed, numbered from 0; the rest did not. Content: files in the
  // order of their paths, the changes of each in theirs. Names: in the order of the calls.
  std::vector<bool> landed_data = {};
  std::vector<bool> landed_names = {};
};

struct MemoryNode;
using MemoryNodePtr = std::shared_ptr<MemoryNode>;
using MemoryNames = std::map<std::string, MemoryNodePtr>;

// A file or a directory.
struct MemoryNode {
  explicit MemoryNode(bool directory) : is_directory(directory) {}
  const bool is_directory;
  // Of a directory.
  MemoryNames names;
  MemoryNames durable_names;
  // Of a file. Its room is in use while it has a name or is open.
  MemoryFileData data;
  bool linked = true;
  int handles = 0;
  bool in_use() const { return linked || handles > 0; }
};

class MemoryTree {
 public:
  MemoryTree() : root_(std::make_shared<MemoryNode>(true)) {}
  explicit MemoryTree(MemoryNodePtr root) : root_(std::move(root)) {}

  Result<MemoryNodePtr> find(const std::string& path) const;
  Result<MemoryNodePtr> create(const std::string& path, bool directory);  // kExists
  // The node that lost its name, for its room to be given back.
  Result<MemoryNodePtr> remove(const std::string& path);
  // The node that was replaced, or null.
  Result<MemoryNodePtr> rename(const std::string& from, const std::string& to);
  Status sync_directory(const std::string& path);

  // A tree of its own, all of it durable.
  MemoryTree after_crash(const CrashPolicy& policy) const;
  uint64_t unsynced_names() const { return pending_.size(); }
  uint64_t unsynced_data() const;  // changes of the files that have a name now
  uint64_t blocks() const;         // of all files

 private:
  struct Place {  // where a name is or would be
    MemoryNodePtr directory;
    std::string name;
  };
  // One entry of a directory set to a node, or to null.
  struct NameChange {
    Place place;
    MemoryNodePtr node;
  };
  // What happens at once or not at all.
  using Step = std::vector<NameChange>;

  Result<Place> place_of(const std::string& path) const;
  void perform(Step step);
  static bool touches(const Step& step, const MemoryNodePtr& directory);
  static bool spans_directories(const Step& step);
  // The names of every directory that the crash leaves different from its durable_names.
  std::map<const MemoryNode*, MemoryNames> names_after_crash(const CrashPolicy& policy, std::mt19937_64& random) const;

  MemoryNodePtr root_;
  std::vector<Step> pending_;  // not yet durable, in order
};

}  // namespace pailfs
