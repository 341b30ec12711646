#include <algorithm>

#include "core/impl.h"

namespace pailfs {

// Loading takes no lock that others need: the entry is in the table, marked, and who wants the same inode waits. So no
// two copies of an inode ever exist, and no stale record comes back after another thread's change.
Result<InodePtr> InodeTable::get(Ino ino) {
  {
    MutexLock lock(mutex_);
    for (;;) {
      const auto it = inodes_.find(ino);
      if (it == inodes_.end()) break;
      if (!it->second.loading) {
        recent_.splice(recent_.begin(), recent_, it->second.place);
        return it->second.inode;
      }
      loaded_.wait(mutex_);
    }
    add(std::make_shared<Inode>(ino), true);
  }
  Result<InodeRecord> record = read_record(ino);
  MutexLock lock(mutex_);
  loaded_.notify_all();
  const auto it = inodes_.find(ino);
  if (!record) {
    recent_.erase(it->second.place);
    inodes_.erase(it);
    return std::unexpected(std::move(record).error());
  }
  InodePtr inode = it->second.inode;
  set_record(*inode, std::move(*record));
  it->second.loading = false;
  trim();
  return inode;
}

Result<InodeRecord> InodeTable::read_record(Ino ino) const {
  PAILFS_ASSIGN(const std::optional<std::string> value, store_.get(bucket_of(ino), keys::inode(ino)));
  if (!value) return fail(Code::kNotFound, "no such inode");
  Result<InodeRecord> record = decode_inode(*value);
  if (!record) return context("inode " + std::to_string(ino), std::move(record).error());
  return record;
}

// Nobody else has seen the inode yet, so its lock is not needed (and must not be taken below mutex_).
void InodeTable::set_record(Inode& inode, InodeRecord record) NO_THREAD_SAFETY_ANALYSIS {
  inode.record = std::move(record);
}

InodePtr InodeTable::cached(Ino ino) {
  MutexLock lock(mutex_);
  const auto it = inodes_.find(ino);
  return it == inodes_.end() || it->second.loading ? nullptr : it->second.inode;
}

InodePtr InodeTable::insert(Ino ino, InodeRecord record) {
  auto inode = std::make_shared<Inode>(ino);
  set_record(*inode, std::move(record));
  MutexLock lock(mutex_);
  add(inode, false);
  trim();
  return inode;
}

void InodeTable::add(InodePtr inode, bool loading) {
  const Ino ino = inode->ino;
  recent_.push_front(ino);
  inodes_.insert_or_assign(ino, Cached{std::move(inode), recent_.begin(), loading});
}

// Drops the least recent ones that nobody holds. One in use moves to the front, so that a few long-open files don't
// make every call walk over them; no call looks at more than a few.
void InodeTable::trim() {
  for (int looked_at = 0; inodes_.size() > recent_limit_ && looked_at < 8; ++looked_at) {
    const auto it = inodes_.find(recent_.back());
    // New copies are made under mutex_ or by a holder of one, so a count of 1 stays 1.
    if (it->second.loading || it->second.inode.use_count() > 1) {
      recent_.splice(recent_.begin(), recent_, it->second.place);
      continue;
    }
    recent_.pop_back();
    inodes_.erase(it);
  }
}

std::vector<InodePtr> InodeTable::cached_of(Scope bucket) {
  std::vector<InodePtr> out;
  MutexLock lock(mutex_);
  for (const auto& [ino, cached] : inodes_) {
    if (bucket_of(ino) == bucket && !cached.loading) out.push_back(cached.inode);
  }
  return out;
}

void InodeTable::add_reference(Ino ino, uint64_t count) {
  MutexLock lock(mutex_);
  references_[ino] += count;
}

uint64_t InodeTable::drop_reference(Ino ino, uint64_t count) {
  MutexLock lock(mutex_);
  const auto it = references_.find(ino);
  if (it == references_.end()) return 0;
  if (it->second > count) return it->second -= count;
  references_.erase(it);
  return 0;
}

uint64_t InodeTable::references(Ino ino) const {
  MutexLock lock(mutex_);
  const auto it = references_.find(ino);
  return it == references_.end() ? 0 : it->second;
}

void InodeTable::remove(Ino ino) {
  MutexLock lock(mutex_);
  const auto it = inodes_.find(ino);
  if (it == inodes_.end() || it->second.loading) return;
  recent_.erase(it->second.place);
  inodes_.erase(it);
}

size_t InodeTable::reference_count() const {
  MutexLock lock(mutex_);
  return references_.size();
}

uint64_t HandleTable::add(HandlePtr handle) {
  WriterLock lock(mutex_);
  const uint64_t number = next_++;
  handles_.emplace(number, std::move(handle));
  return number;
}

HandlePtr HandleTable::get(uint64_t handle) const {
  ReaderLock lock(mutex_);
  const auto it = handles_.find(handle);
  return it == handles_.end() ? nullptr : it->second;
}

HandlePtr HandleTable::remove(uint64_t handle) {
  WriterLock lock(mutex_);
  const auto it = handles_.find(handle);
  if (it == handles_.end()) return nullptr;
  HandlePtr removed = std::move(it->second);
  handles_.erase(it);
  return removed;
}

std::vector<HandlePtr> HandleTable::all() const {
  ReaderLock lock(mutex_);
  std::vector<HandlePtr> handles;
  handles.reserve(handles_.size());
  for (const auto& [number, handle] : handles_) handles.push_back(handle);
  return handles;
}

size_t HandleTable::size() const {
  ReaderLock lock(mutex_);
  return handles_.size();
}

LockedInodes::LockedInodes(std::initializer_list<InodePtr> inodes) NO_THREAD_SAFETY_ANALYSIS : inodes_(inodes) {
  std::erase(inodes_, nullptr);
  std::ranges::sort(inodes_, {}, &Inode::ino);
  inodes_.erase(std::unique(inodes_.begin(), inodes_.end()), inodes_.end());
  for (const InodePtr& inode : inodes_) inode->lock.lock();
}

LockedInodes::~LockedInodes() NO_THREAD_SAFETY_ANALYSIS {
  for (const InodePtr& inode : inodes_) inode->lock.unlock();
}

}  // namespace pailfs
