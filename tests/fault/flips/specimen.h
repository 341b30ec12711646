// Small stores to be damaged: what is on their medium, what they show, and which bytes of their segments they need.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fault/core/operations.h"
#include "io/memory_env.h"
#include "support/temporary_directory.h"

namespace pailfs::test {

// A dump of a tree (support/tree_dump.h), by path: what is said of it, each with a mark where an error stands in it.
// Several versions may have one path.
struct Shown {
  explicit Shown(const std::string& dump);
  struct Block {
    std::string text;
    bool failed = false;
  };
  std::map<std::string, std::vector<Block>> paths;
  std::vector<std::string> errors;  // lines
};

struct StoreFile {
  std::string name;  // below the store's directory
  std::string bytes;
};

struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// A unit as it is stored, ciphertext and tag.
struct StoredUnit {
  std::string file;
  ByteRange bytes;
};

class Specimen {
 public:
  // Everything is checkpointed, closed, and has been reclaimed once.
  static std::unique_ptr<Specimen> closed(const std::string& directory);
  // Killed: the log's last frames are to be replayed.
  static std::unique_ptr<Specimen> killed(const std::string& directory);

  const std::string name;
  const std::string directory;  // on the medium, and the real one that LMDB's file is copied to
  std::vector<StoreFile> files;
  // By the last transaction that was found at the start. Every frame's end is here.
  std::map<uint64_t, Shown> states;
  // Bytes without which something of it cannot be read, by file.
  std::map<std::string, std::vector<ByteRange>> needed;
  std::vector<StoredUnit> units;
  // The files as they were at earlier moments.
  std::vector<std::map<std::string, std::string>> earlier;

  std::unique_ptr<MemoryEnv> copy() const;
  bool needs(const std::string& file, ByteRange range) const;
  const StoreFile& file(const std::string& name) const;

 private:
  Specimen(std::string specimen_name, std::string path) : name(std::move(specimen_name)), directory(std::move(path)) {}
  void make_closed();
  void go_on();
  void keep_moment();
  void finish();
  void note(Life& life);
  void note_needed(Life& life);
  void note_needed_copy();
  std::map<std::string, std::string> read_all() const;

  std::unique_ptr<MemoryEnv> medium_;
  Time now_ = Time{1'800'000'000} * 1'000'000'000;
};

}  // namespace pailfs::test
