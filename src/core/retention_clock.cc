#include "core/retention_clock.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/codec.h"
#include "base/logging.h"
#include "core/impl.h"
#include "core/time_text.h"

namespace pailfs {

namespace {

constexpr int64_t kMinute = 60'000'000'000;
constexpr int64_t kJump = 5 * kMinute;  // what the clocks may differ by from one look to the next

}  // namespace

// version, clock, wall clock.
std::string encode_clock(const ClockRecord& record) {
  Encoder out;
  out.u8(1);
  out.i64(record.clock);
  out.i64(record.wall);
  return out.take();
}

Result<ClockRecord> decode_clock(std::string_view value) {
  Decoder in(value);
  const uint8_t format = in.u8();
  ClockRecord record;
  record.clock = in.i64();
  record.wall = in.i64();
  if (!in.done() || format != 1) return fail(Code::kCorrupt, "the record of the retention clock does not parse");
  return record;
}

Status RetentionClock::load() {
  const auto value = store_.get(kStoreScope, keys::retention_clock());
  if (value && !*value) return {};
  const auto record = value ? decode_clock(**value) : Result<ClockRecord>(std::unexpected(value.error()));
  MutexLock lock(mutex_);
  if (!record) {
    log_error("the retention clock is unreadable, and no lock ends until 'pail repair' has run: {}",
              record.error().message);
    unreadable_ = true;
    return {};
  }
  const Reading now = read();
  begin_ = record->clock;
  begun_ = saved_ = last_.monotonic = now.monotonic;
  // That the wall clock went on while the store was closed is no news; that it went back is.
  last_.wall = std::max(now.wall, record->wall);
  runs_ = true;
  return {};
}

Status RetentionClock::start() {
  MutexLock lock(mutex_);
  if (runs_) return {};
  if (unreadable_) {
    return fail(Code::kCorrupt, "the retention clock is unreadable: 'pail repair' lets it begin anew");
  }
  const Reading now = read();
  begin_ = now.wall;
  begun_ = now.monotonic;
  last_ = now;
  PAILFS_TRY(save(now));
  runs_ = true;
  return {};
}

Status RetentionClock::save(const Reading& reading) {
  Transaction tx;
  tx.put(kStoreScope, keys::retention_clock(), encode_clock({at(reading), reading.wall}));
  const int64_t jump = (reading.wall - last_.wall) - (reading.monotonic - last_.monotonic);
  const bool jumped = std::abs(jump) > kJump;
  if (jumped) {
    const std::string what = fmt::format("{} to {}", format_time(last_.wall), format_time(reading.wall));
    log_warning("the system's clock went from {} within {} s; retention goes on from {} by a clock of its own", what,
                (reading.monotonic - last_.monotonic) / 1'000'000'000, format_time(at(reading)));
    const Caller nobody{.door = Door::kInternal};
    tx.record(encode_change({Action::kClockJump, nobody, 0, what, 0}, reading.wall));
  }
  auto sequence = store_.commit(std::move(tx));
  if (!sequence) return std::unexpected(std::move(sequence).error());
  saved_ = reading.monotonic;
  last_ = reading;
  return {};
}

Status RetentionClock::keep(bool now) {
  MutexLock lock(mutex_);
  if (!runs_ || store_.status().read_only) return {};
  const Reading reading = read();
  const int64_t jump = (reading.wall - last_.wall) - (reading.monotonic - last_.monotonic);
  if (now || std::abs(jump) > kJump || reading.monotonic - saved_ >= kMinute) return save(reading);
  last_ = reading;
  return {};
}

bool RetentionClock::runs() const {
  MutexLock lock(mutex_);
  return runs_;
}

Time RetentionClock::time() const {
  MutexLock lock(mutex_);
  return runs_ ? at(read()) : 0;
}

}  // namespace pailfs
