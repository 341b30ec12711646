// A LogStorage over another that asks a test before each call that changes something, and fails where it says so.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "log/log_storage.h"

namespace pailfs::test {

class HookedStorage : public LogStorage {
 public:
  enum class Call { kCreate, kReserve, kWrite, kSync, kSeal, kRemove };
  // `offset`: of a write; the end of a reservation; else 0. Called by any thread. A write that the hook fails has
  // written its first half.
  using Hook = std::function<Status(Call, uint64_t segment, uint64_t offset)>;

  explicit HookedStorage(LogStorage& base) : base_(base) {}
  void set(Hook hook) { hook_ = std::move(hook); }  // not while calls are under way

  Result<std::unique_ptr<SegmentWriter>> create(uint64_t id) override {
    PAILFS_TRY(ask(Call::kCreate, id, 0));
    PAILFS_ASSIGN(auto writer, base_.create(id));
    return std::make_unique<Writer>(*this, id, std::move(writer));
  }
  Result<size_t> read(uint64_t id, uint64_t offset, std::span<char> out) override {
    return base_.read(id, offset, out);
  }
  Status seal(uint64_t id, uint64_t length) override {
    PAILFS_TRY(ask(Call::kSeal, id, 0));
    return base_.seal(id, length);
  }
  Status sync(uint64_t id) override { return base_.sync(id); }
  Status punch(uint64_t id, uint64_t offset, uint64_t length) override { return base_.punch(id, offset, length); }
  Status remove(uint64_t id) override {
    PAILFS_TRY(ask(Call::kRemove, id, 0));
    return base_.remove(id);
  }
  Result<std::vector<uint64_t>> list() override { return base_.list(); }
  Result<uint64_t> size(uint64_t id) override { return base_.size(id); }
  Result<uint64_t> allocated(uint64_t id) override { return base_.allocated(id); }

 private:
  class Writer : public SegmentWriter {
   public:
    Writer(HookedStorage& storage, uint64_t id, std::unique_ptr<SegmentWriter> base)
        : storage_(storage), id_(id), base_(std::move(base)) {}
    Status reserve(uint64_t end) override {
      PAILFS_TRY(storage_.ask(Call::kReserve, id_, end));
      return base_->reserve(end);
    }
    Status write_at(uint64_t offset, std::string_view data) override {
      Status allowed = storage_.ask(Call::kWrite, id_, offset);
      if (allowed) return base_->write_at(offset, data);
      (void)base_->write_at(offset, data.substr(0, data.size() / 2));
      return allowed;
    }
    void start_writeback(uint64_t offset, uint64_t length) override { base_->start_writeback(offset, length); }
    Status sync() override {
      PAILFS_TRY(storage_.ask(Call::kSync, id_, 0));
      return base_->sync();
    }

   private:
    HookedStorage& storage_;
    const uint64_t id_;
    const std::unique_ptr<SegmentWriter> base_;
  };

  Status ask(Call call, uint64_t segment, uint64_t offset) { return hook_ ? hook_(call, segment, offset) : Status{}; }

  LogStorage& base_;
  Hook hook_;
};

}  // namespace pailfs::test
