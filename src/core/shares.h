// Units that more than one owner shows. An owner is one chunk of one content, with all its versions; a unit that a
// single owner shows has no record here, so that whoever never copies by reference pays nothing.
//
//   's' segment(be64) offset(be64)   varint bytes, varint owners    scope 0: `owners` >= 2 show the units there
//
// Records do not overlap. A transaction that takes a reference away names the run as released, whoever else shows it:
// resolve() decides what that means. A unit without a record can become shared only by who holds the lock of its one
// owner's inode; what has a record changes only under `lock`, from the decision to the commit.
#pragma once

#include <atomic>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "core/extents.h"

namespace pailfs {

class Shares {
 public:
  explicit Shares(Store& store) : store_(store) {}
  Mutex lock;

  // At start: whether there are records at all.
  Status load();
  // Whether the transaction takes references to shared units away. Without the lock: the inodes' locks are held.
  Result<bool> concerns(Transaction& tx) const;
  // Counts one reference more to every unit of `added`, and leaves in the transaction only those released runs that
  // nothing refers to any more. The transaction is committed before the lock is given up, or not at all.
  Status resolve(Transaction& tx, std::span<const Run> added) REQUIRES(lock);

  // Notes every range whose owners change while it lives: a check that counts them looks elsewhere.
  class Watch {
   public:
    explicit Watch(Shares& shares);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    std::vector<UnitRange> changed() const;

   private:
    friend class Shares;
    Shares& shares_;
    std::vector<UnitRange> changed_;  // guarded by shares_.lock
  };

 private:
  Store& store_;
  std::atomic<bool> any_ = false;
  std::vector<Watch*> watches_ GUARDED_BY(lock);
};

// One record, for the check.
struct SharedRange {
  UnitRange range;
  uint64_t owners = 0;
};
Result<SharedRange> decode_shared(const StoreView::Entry& entry);

}  // namespace pailfs
