// Data records and commit frames: handing out places, writing, completing.
#include <fmt/format.h>

#include <algorithm>

#include "log/log_impl.h"

namespace pailfs {
namespace {

bool is_full(const Error& error) { return error.code == Code::kNoSpace || error.code == Code::kQuota; }

}  // namespace

// Gaps of a segment are listed in the headers of the two that follow; so the second may begin only when nothing is in
// flight in the first any more. kBusy says to wait for that without the lock that others need to get there.
Result<Log::Impl::Slot> Log::Impl::try_place(uint64_t total) {
  PAILFS_TRY(writable());
  bool roll_first = false;
  {
    MutexLock lock(mutex);
    // A record that is longer than a segment gets one of its own size.
    const bool full = tail.offset > kSegmentHeaderSize && tail.offset + total > options.segment_size;
    roll_first = full || !gaps.empty();
    const bool older_in_flight = !pending.empty() && pending.front().begin.segment < active->id;
    if (roll_first && older_in_flight) return fail(Code::kBusy, "records of the segment before are being written");
  }
  if (roll_first) PAILFS_TRY(roll(total));
  std::shared_ptr<OpenSegment> segment;
  uint64_t end = 0;
  {
    MutexLock lock(mutex);
    segment = active;
    end = tail.offset + total;
  }
  if (end > room_end) PAILFS_TRY(reserve_room(*segment->writer, end));
  MutexLock lock(mutex);
  Slot slot{.segment = segment, .begin = tail, .total = total, .ticket = first_ticket + pending.size()};
  pending.push_back({.begin = tail, .total = total});
  ++segment->in_flight;
  tail.offset = end;
  return slot;
}

Result<Log::Impl::Slot> Log::Impl::place(uint64_t total) {
  for (;;) {
    {
      MutexLock lock(alloc_mutex);
      auto slot = try_place(total);
      if (slot || slot.error().code != Code::kBusy) return slot;
    }
    MutexLock lock(mutex);
    while (!failed && !pending.empty() && pending.front().begin.segment < active->id) progress.wait(mutex);
  }
}

void Log::Impl::complete(const Slot& slot, Outcome outcome, std::string_view header) {
  uint64_t from = 0;
  uint64_t to = 0;
  std::shared_ptr<SegmentWriter> writer;  // its own share: the segment may be rolled away and synced meanwhile
  {
    MutexLock lock(mutex);
    Pending& mine = pending[slot.ticket - first_ticket];
    mine.done = true;
    mine.outcome = outcome;
    if (outcome == Outcome::kRecord) std::ranges::copy(header, mine.header.begin());
    if (outcome == Outcome::kGap) {
      gaps.push_back({.segment = slot.begin.segment, .offset = slot.begin.offset, .length = slot.total});
    } else {
      slot.segment->dirty = true;
      unsynced += slot.total;
    }
    --slot.segment->in_flight;
    const bool advances = pending.front().done;
    while (!pending.empty() && pending.front().done) {
      const Pending& front = pending.front();
      if (front.outcome == Outcome::kRecord) {
        append_digest_entry(entries, front.begin, {front.header.data(), front.header.size()});
      }
      pending.pop_front();
      ++first_ticket;
    }
    if (advances) progress.notify_all();
    // Write-out follows the whole prefix, in large pieces.
    const bool front_is_here = !pending.empty() && pending.front().begin.segment == active->id;
    if (slot.segment == active && (pending.empty() || front_is_here)) {
      to = front_is_here ? pending.front().begin.offset : tail.offset;
      if (to >= slot.segment->written_back + options.writeback_step) {
        from = std::exchange(slot.segment->written_back, to);
        writer = slot.segment->writer;
      } else {
        to = 0;
      }
    }
  }
  if (writer != nullptr) writer->start_writeback(from, to - from);
}

// Every slot that was handed out completes, also when its write fails.
Status Log::Impl::write_failed(const Slot& slot, Error error) {
  if (!is_full(error)) {
    go_read_only(fmt::format("writing {} failed: {}", describe(slot.begin), error.message));
  }
  complete(slot, Outcome::kGap, {});
  return std::unexpected(std::move(error));
}

Status Log::Impl::write_record(const Slot& slot, std::span<char> record) {
  const std::string_view payload{record.data() + kRecordHeaderSize, record.size() - kRecordHeaderSize};
  RecordHeader header{.type = kDataRecord, .length = static_cast<uint32_t>(payload.size()), .digest = {}};
  const Digest digest = sha256(payload);
  std::copy_n(digest.begin(), header.digest.size(), header.digest.begin());
  encode_record_header(header, slot.begin, record.first(kRecordHeaderSize));
  Status written = slot.segment->writer->write_at(slot.begin.offset, {record.data(), record.size()});
  if (!written) return write_failed(slot, std::move(written).error());
  complete(slot, Outcome::kRecord, {record.data(), kRecordHeaderSize});
  return {};
}

void Log::Impl::abandon(const Slot& slot) {
  if (!writable()) return complete(slot, Outcome::kGap, {});
  const RecordHeader header{
      .type = kPaddingRecord, .length = static_cast<uint32_t>(slot.total - kRecordHeaderSize), .digest = {}};
  std::array<char, kRecordHeaderSize> bytes{};
  encode_record_header(header, slot.begin, bytes);
  const std::string_view padding{bytes.data(), bytes.size()};
  Status written = slot.segment->writer->write_at(slot.begin.offset, padding);
  if (written) {
    complete(slot, Outcome::kRecord, padding);
  } else {
    (void)write_failed(slot, std::move(written).error());  // nobody waits for this record
  }
}

Result<bool> Log::Impl::wait_to_front(const Slot& slot, FrameClear& clear) {
  {
    MutexLock lock(mutex);
    while (!failed && first_ticket != slot.ticket) progress.wait(mutex);
    if (!failed && gaps.empty() && slot.begin.segment >= gaps_listed_in) {
      frame_entries += entries;
      entries.clear();
      clear.previous_chain = chain;
      clear.durable = durable;
      return true;
    }
  }
  complete(slot, Outcome::kGap, {});
  PAILFS_TRY(writable());
  return false;
}

Result<FrameInfo> Log::Impl::append_frame(uint64_t first_seq, uint64_t new_last_seq, std::string_view payload) {
  if (payload.size() > kMaxFramePayload) return fail(Code::kTooBig, "commit frame too large");
  FrameClear clear;
  clear.first_seq = first_seq;
  clear.last_seq = new_last_seq;
  {
    MutexLock lock(mutex);
    if (first_seq <= last_seq || new_last_seq + 1 < first_seq) {
      return fail(Code::kInvalid, fmt::format("commit frame with sequence numbers {} to {} after {}", first_seq,
                                              new_last_seq, last_seq));
    }
  }
  Slot slot;
  for (bool usable = false; !usable;) {
    PAILFS_ASSIGN(slot, place(kRecordHeaderSize + kFrameOverhead + payload.size()));
    PAILFS_ASSIGN(usable, wait_to_front(slot, clear));
  }
  clear.data_digest = sha256(frame_entries);
  const SealedFrame frame = seal_frame(*slot.segment->frame_cipher, slot.begin, clear, payload);
  Status written = slot.segment->writer->write_at(slot.begin.offset, frame.record);
  if (!written) return std::unexpected(write_failed(slot, std::move(written).error()).error());
  frame_entries.clear();
  const FrameInfo info{.begin = slot.begin,
                       .end = {slot.begin.segment, slot.begin.offset + slot.total},
                       .first_seq = first_seq,
                       .last_seq = new_last_seq,
                       .chain = frame.chain};
  {
    MutexLock lock(mutex);
    chain = info.chain;
    last_seq = new_last_seq;
    last_frame_end = info.end;
    slot.segment->dirty = true;  // in the same breath: a sync that takes last_frame_end has to cover the frame
  }
  complete(slot, Outcome::kFrame, {});
  return info;
}

// --- Reservations.

Log::Reservation::Reservation(Reservation&& other) noexcept { *this = std::move(other); }

Log::Reservation& Log::Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  abandon();
  log_ = std::exchange(other.log_, nullptr);
  segment_ = std::move(other.segment_);
  payload_ = other.payload_;
  length_ = other.length_;
  ticket_ = other.ticket_;
  salt_ = other.salt_;
  return *this;
}

Log::Reservation::~Reservation() { abandon(); }

void Log::Reservation::abandon() {
  if (Log* log = std::exchange(log_, nullptr)) {
    log->impl_->abandon({.segment = segment_,
                         .begin = {payload_.segment, payload_.offset - kRecordHeaderSize},
                         .total = kRecordHeaderSize + length_,
                         .ticket = ticket_});
  }
}

Result<Log::Reservation> Log::reserve(size_t length) {
  if (length == 0 || length > kMaxDataLength) return fail(Code::kInvalid, "data record of impossible length");
  PAILFS_ASSIGN(Impl::Slot slot, impl_->place(kRecordHeaderSize + length));
  Reservation reservation;
  reservation.log_ = this;
  reservation.payload_ = {slot.begin.segment, slot.begin.offset + kRecordHeaderSize};
  reservation.length_ = static_cast<uint32_t>(length);
  reservation.ticket_ = slot.ticket;
  reservation.salt_ = slot.segment->salt;
  reservation.segment_ = std::move(slot.segment);
  return reservation;
}

Status Log::write(Reservation&& reservation, std::span<char> record) {
  Reservation mine = std::move(reservation);
  if (mine.log_ != this || record.size() != kRecordHeaderSize + mine.length_) {
    return fail(Code::kInvalid, "the record is not of the length that was reserved");
  }
  mine.log_ = nullptr;
  return impl_->write_record({.segment = std::move(mine.segment_),
                              .begin = {mine.payload_.segment, mine.payload_.offset - kRecordHeaderSize},
                              .total = record.size(),
                              .ticket = mine.ticket_},
                             record);
}

Result<FrameInfo> Log::append_frame(uint64_t first_seq, uint64_t last_seq, std::string_view payload) {
  return impl_->append_frame(first_seq, last_seq, payload);
}

}  // namespace pailfs
