#include "store/key_cache.h"

#include <array>
#include <cstring>

namespace pailfs {

std::shared_ptr<const Aead> KeyCache::cipher(Scope scope, std::string_view purpose, std::string_view salt) {
  std::string id;
  id.reserve(sizeof scope + 1 + salt.size());
  id.append(reinterpret_cast<const char*>(&scope), sizeof scope);
  id.push_back(purpose.front());
  id.append(salt);
  {
    const ReaderLock lock(mutex_);
    const auto it = ciphers_.find(id);
    if (it != ciphers_.end()) return it->second;
  }
  const auto keys = keyring_.scope(scope);
  if (keys == nullptr) return nullptr;
  auto made = std::make_shared<const Aead>(hkdf(keys->data.view(), salt, std::string("pailfs ").append(purpose)));
  const WriterLock lock(mutex_);
  // Dropping everything now and then is simpler than an order of use, and rare: the working set is small.
  if (ciphers_.size() >= limit_) ciphers_.clear();
  return ciphers_.try_emplace(std::move(id), std::move(made)).first->second;
}

std::shared_ptr<const TokenPrf> KeyCache::names(Scope scope) {
  {
    const ReaderLock lock(mutex_);
    const auto it = names_.find(scope);
    if (it != names_.end()) return it->second;
  }
  const auto keys = keyring_.scope(scope);
  if (keys == nullptr) return nullptr;
  auto made = std::make_shared<const TokenPrf>(keys->names);
  const WriterLock lock(mutex_);
  return names_.try_emplace(scope, std::move(made)).first->second;
}

void KeyCache::forget(Scope scope) {
  const WriterLock lock(mutex_);
  names_.erase(scope);
  std::erase_if(ciphers_,
                [scope](const auto& entry) { return std::memcmp(entry.first.data(), &scope, sizeof scope) == 0; });
}

}  // namespace pailfs
