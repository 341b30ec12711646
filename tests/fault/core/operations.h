// One life of a process with a store on a medium that can fail, and what it does there: a small world of files, and the
// operations that change it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/core.h"
#include "io/env.h"

namespace pailfs::test {

inline constexpr uint32_t kAccount = 500;

// An open store and its model. Everything in it is closed when it goes, as by a crash.
class Life {
 public:
  // Opens what is on the medium. `seq` of the result is that of the last transaction that was found there.
  static Result<std::unique_ptr<Life>> begin(Env& env, const std::string& directory);
  ~Life();

  Store& store() { return *store_; }
  Core& core() { return *core_; }
  uint64_t recovered() const { return recovered_; }
  // No descriptor is open for writing: what is shown now is what a new start shows.
  bool at_rest() const { return held_.empty(); }

  // By paths from the root, as root. The inode's number, without a reference.
  Result<Ino> at(std::string_view path);
  Status write(std::string_view path, uint64_t offset, std::string_view data);
  Status create(std::string_view path, std::string_view data);
  struct Held {
    Ino ino = 0;
    uint64_t handle = 0;
  };
  Result<Held> open(std::string_view path);
  void hold(Held held) { held_.push_back(held); }
  void release_held();
  const Caller& root() const { return root_; }
  // The directory that a path leads to, and its last name.
  Result<std::pair<Ino, std::string>> parent(std::string_view path);

 private:
  Life() = default;
  Caller root_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;
  uint64_t recovered_ = 0;
  std::vector<Held> held_;
};

// Repairs the store on the medium: nothing that it shows is another one, and all room in its log belongs to something.
void expect_repair_gives_room_back(Env& env, const std::string& directory, const std::string& what);

struct Operation {
  std::string name;
  std::function<Status(Life&)> run;
  bool syncs = false;  // success promises that everything before it is durable
};

// What opens it, and with which options.
UnlockSecret store_secret();
StoreOptions small_options();
// What there is to begin with, closed, checkpointed and synced.
void make_world(Env& env, const std::string& directory);
// Every kind of change, each on the world as make_world() leaves it, and such as belong to others.
const std::vector<Operation>& operations();
const Operation& operation(std::string_view name);

// Bytes that tell where they belong.
std::string pattern(std::string_view seed, size_t size);

}  // namespace pailfs::test
