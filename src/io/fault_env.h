// An Env over another that counts calls and makes chosen ones fail: for tests of what a failing disk, a full one, or a
// killed process leaves behind. Thread-safe. The Env below must outlive it and all that it opened.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "io/env.h"

namespace pailfs {

enum class CallKind {
  kOpen,  // also lock_file
  kRead,  // read_at, size, allocated, list_dir, exists, space
  kWrite,
  kSync,
  kAllocate,
  kPunch,
  kTruncate,
  kRename,
  kRemove,
  kMakeDir,
  kSyncDir,
};
inline constexpr size_t kCallKinds = 11;

struct Fault {
  // Which calls are counted; nullopt: all but reads, the calls that can change the medium (kOpen among them).
  std::optional<CallKind> kind;
  uint64_t nth = 1;  // the call that fails, counted from the injection; the first is 1
  Code code = Code::kIo;
  bool for_ever = false;  // and every counted call after it
  // A write that fails has written the first half of its data, in whole sectors of 512 bytes, as a short write and then
  // the error do. A sync that fails has synced. Other calls that fail do nothing.
  bool partial = false;
};

class FaultEnv : public Env {
 public:
  explicit FaultEnv(Env& base);
  ~FaultEnv() override;

  // Several faults may wait at once; the oldest that matches decides.
  void inject(const Fault& fault);
  // Takes back all faults that were injected, and death.
  void clear();
  // The next `changes` calls other than reads are passed on; from the one after them on, every call fails with kIo and
  // nothing reaches the Env below: as if the process had been killed there. Clocks and randomness go on.
  void die_after(uint64_t changes);
  bool dead() const;
  bool fired() const;  // some call was made to fail since the last inject(), die_after() or clear()

  // Calls so far, failed ones included.
  uint64_t calls(CallKind kind) const;
  uint64_t changes() const;  // of all kinds but kRead: die_after(0 ... changes() of a clean run) are its kill points

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

 private:
  struct Plan;
  class FaultFile;
  Env& base_;
  const std::shared_ptr<Plan> plan_;
};

}  // namespace pailfs
