// A file system in memory with a medium below it that can lose power: what tests of everything above io run on, and
// what the crash tests take their images from. Thread-safe.
//
// Durability is as weak as POSIX allows and file systems really are:
// - File::sync_data() makes the file's content and size durable, not its name.
// - Env::sync_dir() makes the names in that directory durable, not what the files hold.
// - A rename is atomic, also when it replaces a name. A rename between directories becomes durable with a sync of
// either.
// - Changes to one name become durable in order; changes to different names in any order.
// crash_image() shows the medium after a power cut under a policy.
//
// The clock stands still until it is moved; randomness comes from a seed. Paths may be absolute or relative (both from
// the one root); ".." is not understood.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/env.h"
#include "io/memory_tree.h"

namespace pailfs {

class MemoryEnv : public Env {
 public:
  static constexpr uint64_t kUnlimited = uint64_t{1} << 50;

  // `capacity` in bytes, counted in blocks of 4096 of files' content (names are free).
  explicit MemoryEnv(uint64_t seed = 1, uint64_t capacity = kUnlimited);
  ~MemoryEnv() override;

  // Files and locks may outlive the Env object.
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_dir(const std::string& path) override;
  Status sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list_dir(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<Space> space(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override;
  int64_t now() override;
  int64_t monotonic() override;
  void random(std::span<char> out) override;

  // The medium as the next start finds it if the power fails now: everything in it is durable, nothing is open or
  // locked. This Env goes on as if nothing had happened, so many images can be taken of one moment. Clock and capacity
  // carry over; randomness starts from a seed that no other image of this Env has.
  std::unique_ptr<MemoryEnv> crash_image(const CrashPolicy& policy) const;
  // As if this Env had been replaced by its crash_image(). Files that were open fail with kIo for ever after; their
  // users should be gone, since calls by path would still work for them.
  void crash(const CrashPolicy& policy);

  // Nanoseconds, as now() will return it. The monotonic clock does not follow; it may go backwards, as clocks do.
  void set_now(int64_t nanoseconds);
  // From now on each call of now() returns so much more than the one before. For tests of code that tells changes
  // apart by their time: the clock stands still otherwise.
  void run_clock(int64_t nanoseconds_per_call);
  // Moves both clocks.
  void advance(int64_t nanoseconds);

  // May fall below what is in use; then nothing that needs room succeeds until enough was given back.
  void set_capacity(uint64_t bytes);
  // How much kChosen has to choose from, as long as every name lands.
  struct UnsyncedChanges {
    uint64_t data = 0;
    uint64_t names = 0;
  };
  UnsyncedChanges unsynced_changes() const;
  uint64_t used() const;  // bytes of room that files hold, written or reserved

 private:
  struct State;
  explicit MemoryEnv(std::shared_ptr<State> state);
  class OpenFile;
  class Lock;
  const std::shared_ptr<State> state_;
};

}  // namespace pailfs
