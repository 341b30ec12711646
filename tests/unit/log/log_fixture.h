// A log over memory, and what was replayed from it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "io/memory_env.h"
#include "log/log.h"
#include "log/memory_log_storage.h"

namespace pailfs::test {

inline const std::string kUuid = "0123456789abcdef";
inline Secret log_key() { return Secret(std::string(kKeySize, 'k')); }

struct Replayed {
  FrameInfo info;
  std::string payload;
};

inline std::vector<std::string> payloads(const std::vector<Replayed>& frames) {
  std::vector<std::string> out;
  for (const Replayed& frame : frames) out.push_back(frame.payload);
  return out;
}

class LogTest : public testing::Test {
 protected:
  LogTest() {
    options_.segment_size = 64 << 10;
    options_.reserve_step = 16 << 10;
    options_.writeback_step = 8 << 10;
  }

  Log::FrameSink sink() {
    replayed_.clear();
    return [this](const FrameInfo& info, std::string_view payload) {
      replayed_.push_back({info, std::string(payload)});
      return Status{};
    };
  }
  Result<std::unique_ptr<Log>> try_open(LogStorage& storage, const LogStart& start = {}) {
    return Log::open(storage, env_, key_, kUuid, options_, start, sink());
  }
  Result<std::unique_ptr<Log>> try_open(const LogStart& start = {}) { return try_open(storage_, start); }
  std::unique_ptr<Log> open(const LogStart& start = {}) {
    auto log = try_open(start);
    EXPECT_TRUE(log) << log.error().message;
    return log ? std::move(*log) : nullptr;
  }
  Result<std::unique_ptr<Log>> try_open_read_only(bool stop_at_damage, const LogStart& start = {}) {
    return Log::open_read_only(storage_, env_, key_, kUuid, options_, start, sink(), stop_at_damage);
  }

  // Writes one data record; where its payload is, or a zero position.
  static Position write(Log& log, const std::string& payload) {
    auto reservation = log.reserve(payload.size());
    EXPECT_TRUE(reservation) << reservation.error().message;
    if (!reservation) return {};
    const Position position = reservation->payload();
    const Status written = write(log, std::move(*reservation), payload);
    EXPECT_TRUE(written) << written.error().message;
    return position;
  }
  static Status write(Log& log, Log::Reservation&& reservation, const std::string& payload) {
    std::string record(kRecordHeaderSize, '\0');
    record += payload;
    return log.write(std::move(reservation), record);
  }
  static FrameInfo append(Log& log, uint64_t seq, const std::string& payload) {
    const auto frame = log.append_frame(seq, seq, payload);
    EXPECT_TRUE(frame) << frame.error().message;
    return frame.value_or(FrameInfo{});
  }
  static FrameInfo commit(Log& log, uint64_t seq, const std::string& payload) {
    const FrameInfo frame = append(log, seq, payload);
    const Status synced = log.sync();
    EXPECT_TRUE(synced) << synced.error().message;
    return frame;
  }
  static std::string read(const Log& log, Position position, size_t size) {
    std::string out(size, '?');
    const Status got = log.read(position, out);
    EXPECT_TRUE(got) << got.error().message;
    return out;
  }
  static LogStart after(const FrameInfo& frame) {
    return {.position = frame.end, .last_seq = frame.last_seq, .chain = frame.chain};
  }

  Secret key_ = log_key();
  MemoryEnv env_;
  MemoryLogStorage storage_;
  LogOptions options_;
  std::vector<Replayed> replayed_;
};

}  // namespace pailfs::test
