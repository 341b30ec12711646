#include "crypto/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <new>
#include <utility>
#include <vector>

#include "base/logging.h"
#include "base/mutex.h"

namespace pailfs {

namespace {

// Small secrets share locked pages, because hundreds of bucket keys may be loaded while RLIMIT_MEMLOCK can be as small
// as 64 KiB. Larger ones (a passphrase, an unsealed keyring) get pages of their own.
constexpr size_t kSlotSize = 64;

size_t page_size() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

size_t whole_pages(size_t size) { return (size + page_size() - 1) / page_size() * page_size(); }

// Zeroed memory of whole pages between two inaccessible ones, so that a stray access past either end faults.
char* map_guarded(size_t size) {
  const size_t guard = page_size();
  void* whole = mmap(nullptr, size + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (whole == MAP_FAILED) throw std::bad_alloc();
  char* memory = static_cast<char*>(whole) + guard;
  if (mprotect(memory, size, PROT_READ | PROT_WRITE) != 0) {
    munmap(whole, size + 2 * guard);
    throw std::bad_alloc();
  }
  madvise(memory, size, MADV_DONTDUMP);
  madvise(memory, size, MADV_WIPEONFORK);
  if (mlock(memory, size) != 0) {
    static std::atomic<bool> told = false;
    if (!told.exchange(true)) log_warning("key memory cannot be locked against swapping: RLIMIT_MEMLOCK is too small");
  }
  return memory;
}

void unmap_guarded(char* memory, size_t size) { munmap(memory - page_size(), size + 2 * page_size()); }

// The shared pages. Slots that are free hold zeros. Pages are kept once mapped: their number is bounded by the largest
// number of secrets that ever lived at once.
class SlotArena {
 public:
  char* allocate() {
    MutexLock lock(mutex_);
    for (auto& [memory, page] : pages_) {
      if (page.used < page.taken.size()) return take(memory, page);
    }
    char* memory = map_guarded(page_size());
    Page& page = pages_[memory];
    page.taken.resize(page_size() / kSlotSize);
    return take(memory, page);
  }

  void release(char* slot) {
    MutexLock lock(mutex_);
    const auto it = std::prev(pages_.upper_bound(slot));
    it->second.taken[static_cast<size_t>(slot - it->first) / kSlotSize] = false;
    --it->second.used;
  }

 private:
  struct Page {
    std::vector<bool> taken;
    size_t used = 0;
  };

  static char* take(char* memory, Page& page) {
    size_t slot = 0;
    while (page.taken[slot]) ++slot;
    page.taken[slot] = true;
    ++page.used;
    return memory + slot * kSlotSize;
  }

  Mutex mutex_;
  std::map<char*, Page> pages_ GUARDED_BY(mutex_);
};

// Never destroyed: secrets of static lifetime may outlive every destructor of this file.
SlotArena& arena() {
  static SlotArena& instance = *new SlotArena;
  return instance;
}

}  // namespace

Secret::Secret(size_t size) : size_(size) {
  if (size == 0) return;
  data_ = size <= kSlotSize ? arena().allocate() : map_guarded(whole_pages(size));
}

Secret::Secret(std::string_view copy) : Secret(copy.size()) {
  if (!copy.empty()) std::memcpy(data_, copy.data(), copy.size());
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  Secret taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  return *this;
}

Secret::~Secret() {
  if (data_ == nullptr) return;
  wipe(span());
  if (size_ <= kSlotSize) {
    arena().release(data_);
  } else {
    unmap_guarded(data_, whole_pages(size_));
  }
}

void wipe(std::span<char> bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

bool disable_core_dumps() {
  const rlimit none{0, 0};
  const bool dumpable = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  const bool core = setrlimit(RLIMIT_CORE, &none) == 0;
  return dumpable && core;
}

}  // namespace pailfs
