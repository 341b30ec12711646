// A core whose log, keyring and index are in memory, and copies of what it left there: each input of a target starts
// from the same store.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "index/index.h"
#include "io/memory_env.h"

namespace pailfs::test {

inline constexpr uint32_t kAccount = 500;

// What lies on the media of a store that is not open.
struct StoreImage {
  StoreImage() = default;
  StoreImage(const StoreImage& other);
  StoreImage& operator=(const StoreImage&) = delete;
  StoreImage(StoreImage&&) = default;
  StoreImage& operator=(StoreImage&&) = default;
  ~StoreImage() = default;

  std::unique_ptr<MemoryEnv> env;  // /s/keyring.*, /s/log/*
  std::vector<IndexChange> index;  // all entries
  std::string uuid;
};

// A core and its store, until the object goes: without close(), as by a crash that loses nothing.
class MemoryCore {
 public:
  // A new store, with the bucket "bucket".
  MemoryCore();
  // Opens what the image holds; it is used up.
  static Result<std::unique_ptr<MemoryCore>> open(StoreImage image);
  ~MemoryCore();

  StoreImage image() const;

  // As root, in a directory: a file with one version more. Its number.
  Ino write(Ino directory, std::string_view name, std::string_view content);

  MemoryEnv& env() { return *env_; }
  Store& store() { return *store_; }
  Core& core() { return *core_; }
  const Caller& root() const { return root_; }
  Ino bucket() const { return bucket_; }

 private:
  explicit MemoryCore(StoreImage image);
  Status start();

  Caller root_;
  std::unique_ptr<MemoryEnv> env_;
  std::shared_ptr<Index> index_;
  std::string uuid_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;
  Ino bucket_ = 0;
};

}  // namespace pailfs::test
