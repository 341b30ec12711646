// Memory for key bytes: locked against swapping where RLIMIT_MEMLOCK allows, excluded from core dumps and from children
// (MADV_DONTDUMP, MADV_WIPEONFORK), wiped when released. OpenSSL's own contexts (expanded keys) live in its heap,
// outside this protection; they are wiped when freed, and disable_core_dumps() keeps them out of dumps.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace pailfs {

class Secret {
 public:
  Secret() = default;
  explicit Secret(size_t size);            // zeros
  explicit Secret(std::string_view copy);  // the caller wipes his own copy: see wipe()
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  Secret clone() const { return Secret(view()); }
  char* data() { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  std::span<char> span() { return {data_, size_}; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

// Overwrites so that the compiler cannot leave it out.
void wipe(std::span<char> bytes);

// Process-wide hardening for programs that hold keys: PR_SET_DUMPABLE 0 and RLIMIT_CORE 0. False when either was
// refused.
bool disable_core_dumps();

}  // namespace pailfs
