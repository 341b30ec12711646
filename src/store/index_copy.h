// A second copy of the index, in files of its own, from which it can be built anew when LMDB's file is lost or damaged:
// a base (all entries) and journals (what each checkpoint changed since). Written in order and synced before the index
// takes the same checkpoint, so that base and journals are never behind it.
//
// Files in one directory: base-GENERATION and journal-GENERATION-PART, numbers in hexadecimal. Generation 1 has no
// base: the index was empty then. A journal is written by one run of the store; each run begins a new part. What counts
// are the newest whole base and the journals from its generation on, in order. The byte format is in pailfs-format(5),
// section "Index copy".
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "crypto/crypto.h"
#include "index/index.h"
#include "io/env.h"
#include "store/keyring.h"

namespace pailfs {

class IndexCopyWriter;

class IndexCopy {
 public:
  // `uuid`: 16 bytes. `env` outlives the copy.
  // `least_journal`: bytes of journals below which no new base is worth writing.
  IndexCopy(Env& env, std::string directory, const Keyring& keyring, std::string uuid,
            uint64_t least_journal = uint64_t{32} << 20);
  ~IndexCopy();

  // Begins a journal for this run. `current`: the files that are there lead to the index as it is; otherwise there is a
  // gap, until the next write_base(). An empty index needs no files.
  void begin(bool current, bool index_is_empty);

  // --- By the one who checkpoints. A failure to write ends the journal, is logged, and is no failure of the store: the
  // copy is whole again after the next write_base().
  void add(const std::vector<IndexChange>& changes);
  // The changes added so far are a checkpoint that leads from `before` to `last_seq`. Durable when it returns.
  void end_checkpoint(uint64_t before, uint64_t last_seq);

  // --- By the one who reclaims.
  // Whether the journals have become so long that a new base is worth writing, or the copy has a gap.
  bool wants_base() const;
  // Begins a new generation, under `checkpoints`, which whoever checkpoints holds; then writes its base while
  // checkpoints go on, and removes what is older. `stop` ends it early.
  Status write_base(Index& index, Mutex& checkpoints, const std::function<uint64_t()>& last_seq,
                    const std::atomic<bool>& stop);

  // The files that count now, with as much of each as is durable; none goes before the next write_base().
  Result<std::vector<std::pair<std::string, uint64_t>>> files();

  uint64_t bytes() const { return base_bytes_ + journal_bytes_; }
  bool whole() const { return !gap_; }
  void distrust() { gap_ = true; }  // what is there is damaged

  // --- For a rebuild and for the check.
  struct Found {
    uint64_t last_seq = 0;    // of the last checkpoint
    uint64_t entries = 0;     // of base and journals together
    uint64_t bytes = 0;       // read
    uint64_t generation = 0;  // of the base
  };
  // Gives the base's entries and then the journals' changes to `sink`, in order; `proceed(bytes, total)` is asked now
  // and then. kNotFound: there is no copy. kCorrupt: a file that is needed is damaged or missing; it is named.
  Result<Found> replay(const std::function<Status(std::vector<IndexChange>)>& sink,
                       const std::function<Status(uint64_t done, uint64_t total)>& proceed) const;

 private:
  struct Names;
  Result<Names> list() const;
  Status make_directory();
  Status begin_journal(uint64_t generation, uint64_t part) REQUIRES(mutex_);
  void lost(const Error& why) REQUIRES(mutex_);
  void remove_older(uint64_t generation);

  Env& env_;
  const std::string directory_;
  const Secret key_;
  const std::string uuid_;
  const uint64_t least_journal_;
  Mutex mutex_;  // of the journal
  std::unique_ptr<IndexCopyWriter> journal_ GUARDED_BY(mutex_);
  uint64_t generation_ GUARDED_BY(mutex_) = 0;
  uint64_t ended_ GUARDED_BY(mutex_) = 0;  // bytes of the journal up to the end of its last checkpoint
  std::atomic<bool> gap_ = false;
  std::atomic<uint64_t> base_bytes_ = 0;
  std::atomic<uint64_t> journal_bytes_ = 0;
};

}  // namespace pailfs
