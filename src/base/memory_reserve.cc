#include "base/memory_reserve.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/logging.h"

namespace pailfs {

namespace {

std::atomic<void*> reserve = nullptr;
std::atomic<size_t> reserve_bytes = 0;  // 0: nothing is kept aside
std::atomic<bool> drawn_on = false;
std::atomic<bool> told =
    false;  // the log says that memory is short; never from the handler, which the log may be below

bool draw() {
  void* const kept = reserve.exchange(nullptr);
  if (kept == nullptr) return false;
  drawn_on = true;
  std::free(kept);
  return true;
}

void on_no_memory() {
  if (!draw()) throw std::bad_alloc();
}

}  // namespace

void set_memory_aside(size_t bytes) {
  reserve_bytes = bytes;
  reserve = std::malloc(bytes);
  drawn_on = reserve.load() == nullptr;
  std::set_new_handler(on_no_memory);
}

void* allocate_or_draw(size_t bytes) {
  void* got = std::malloc(bytes);
  while (got == nullptr && draw()) got = std::malloc(bytes);
  return got;
}

void* reallocate_or_draw(void* old, size_t bytes) {
  void* got = std::realloc(old, bytes);
  while (got == nullptr && bytes != 0 && draw()) got = std::realloc(old, bytes);
  return got;
}

bool memory_is_short() {
  if (!drawn_on.load(std::memory_order_relaxed)) return false;
  void* const again = std::malloc(reserve_bytes);
  if (again == nullptr) {
    if (!told.exchange(true)) log_error("the machine gives no more memory: new requests are refused until it does");
    return true;
  }
  void* none = nullptr;
  if (!reserve.compare_exchange_strong(none, again)) std::free(again);  // another thread was faster
  drawn_on = false;
  if (told.exchange(false)) log_warning("there is memory again: requests are taken as before");
  return false;
}

}  // namespace pailfs
