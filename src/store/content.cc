// Units: encrypting and appending them, finding and decrypting them.
//
// A unit is AES-256-GCM under HKDF(scope's data key, salt of the segment of its birth, "pailfs unit"); nonce = 4 zero
// bytes and the offset of its birth (little-endian); associated data = segment and offset of its birth. A position is
// written once and salts are random, so no nonce repeats under one key.
#include <cstring>

#include "base/logging.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {
constexpr uint64_t kStoredUnit = kUnitSize + kTagSize;

struct UnitBirth {
  UnitBirth(uint64_t segment, uint64_t offset) {
    for (size_t i = 0; i < 8; ++i) {
      aad[i] = static_cast<char>(segment >> (8 * i));
      aad[8 + i] = nonce[4 + i] = static_cast<char>(offset >> (8 * i));
    }
  }
  Nonce nonce{};
  std::array<char, 16> aad{};
  std::string_view aad_view() const { return {aad.data(), aad.size()}; }
};

// One buffer per thread: requests are at most about a mebibyte, and allocating that much each time costs page faults.
std::string& scratch(size_t size) {
  thread_local std::string buffer;
  if (buffer.size() < size) buffer.resize(size);
  return buffer;
}
}  // namespace

Run Run::drop_front(uint32_t n) const {
  Run rest = *this;
  rest.offset += uint64_t{n} * kStoredUnit;
  rest.length -= n * kUnitSize;
  rest.head = false;
  return rest;
}

Run Run::keep_front(uint32_t n) const {
  Run front = *this;
  front.length = n * kUnitSize;
  return front;
}

// Who writes faster than the disk takes it would make the next fsync, by whomever, wait for all of it.
void Store::Impl::pace() {
  constexpr uint64_t kMuch = uint64_t{16} << 20, kTooMuch = uint64_t{64} << 20;
  if (log->unsynced_bytes() < kMuch || !options.background) return;
  want_frame();
  // With an end, as a sync that has to wait for room would keep the writer from learning that there is none.
  const int64_t until = env.monotonic() + 10'000'000'000;
  const MutexLock lock(sync_mutex);
  while (!failed && log->unsynced_bytes() >= kTooMuch && env.monotonic() < until) {
    synced.wait_for(sync_mutex, std::chrono::milliseconds(100));
  }
}

Result<Run> Store::Impl::append(Scope scope, std::string_view plaintext) {
  PAILFS_TRY(writable());
  if (plaintext.empty() || plaintext.size() > kMaxRun) return fail(Code::kInvalid, "append of 0 or too many bytes");
  if (reserve.spent()) reserve.replenish();
  if (reserve.spent()) {
    return fail(Code::kNoSpace, reserve.refusal() + "; make room on it, or run 'pail versions prune'");
  }
  Run run;
  run.length = static_cast<uint32_t>(plaintext.size());
  run.head = true;
  const size_t stored = run.stored_length();
  pace();
  auto reservation = log->reserve(stored);
  if (!reservation) {
    if (log->read_only()) set_failed(log->read_only_reason());
    return std::unexpected(reservation.error());
  }
  run.segment = reservation->payload().segment;
  run.offset = reservation->payload().offset;
  const auto cipher = ciphers.cipher(scope, "unit", {reservation->salt().data(), kSaltSize});
  if (cipher == nullptr)
    return fail(Code::kNotFound, fmt::format("bucket number {} has no keys: it was deleted", scope));

  std::string& buffer = scratch(kRecordHeaderSize + stored);
  const std::span<char> record = std::span<char>(buffer).first(kRecordHeaderSize + stored);
  size_t at = kRecordHeaderSize;
  for (size_t done = 0; done < plaintext.size(); done += kUnitSize) {
    const std::string_view unit = plaintext.substr(done, kUnitSize);
    const UnitBirth birth(run.segment, run.offset + (at - kRecordHeaderSize));
    cipher->seal(birth.nonce, birth.aad_view(), unit, record.subspan(at, unit.size() + kTagSize));
    at += unit.size() + kTagSize;
  }
  if (auto written = log->write(std::move(*reservation), record); !written) {
    if (log->read_only()) set_failed(log->read_only_reason());
    return std::unexpected(written.error());
  }
  return run;
}

bool Store::Impl::is_moved(uint64_t segment) const {
  const ReaderLock lock(segments_mutex);
  const auto it = segments.find(segment);
  return it != segments.end() && it->second.removed;
}

Result<Salt> Store::Impl::salt_of(uint64_t segment) const {
  {
    const ReaderLock lock(segments_mutex);
    const auto it = segments.find(segment);
    if (it != segments.end() && it->second.removed) return it->second.salt;
  }
  return log->salt(segment);
}

Result<std::vector<Range>> Store::Impl::locate(const Range& birth) const {
  if (!is_moved(birth.segment)) return std::vector<Range>{birth};
  std::vector<Range> places;
  StoreView view(std::make_unique<StoreView::Impl>(*this));
  uint64_t at = birth.offset;
  const auto lost = [&] {
    return fail(Code::kCorrupt,
                fmt::format("segment {:016x} is gone, and nothing says where its byte {} went", birth.segment, at));
  };
  while (at < birth.end()) {
    PAILFS_ASSIGN(const auto entry,
                  view.last_before(kStoreScope, internal::key3(internal::kMoved, birth.segment, at + 1),
                                   internal::key3(internal::kMoved, birth.segment, 0)));
    if (!entry) return lost();
    const uint64_t begin = internal::parse_key3(entry->key).b;
    PAILFS_ASSIGN(const internal::Moved moved, internal::decode_moved(entry->value));
    if (at >= begin + moved.length) return lost();
    const uint64_t length = std::min(birth.end(), begin + moved.length) - at;
    places.push_back({moved.segment, moved.offset + (at - begin), length});
    at += length;
  }
  return places;
}

Status Store::Impl::read(Scope scope, const Run& run, uint32_t skip, std::span<char> out) const {
  if (out.empty()) return {};
  if (uint64_t{skip} + out.size() > run.length) return fail(Code::kCorrupt, "an extent shows more than its run holds");
  const uint32_t first = skip / kUnitSize;
  const uint32_t last = static_cast<uint32_t>((uint64_t{skip} + out.size() - 1) / kUnitSize);
  const uint64_t plain_end = std::min<uint64_t>(run.length, uint64_t{last + 1} * kUnitSize);
  const Range stored{run.segment, run.offset + first * kStoredUnit,
                     plain_end - uint64_t{first} * kUnitSize + uint64_t{last - first + 1} * kTagSize};
  std::string& buffer = scratch(stored.length + kUnitSize);
  size_t filled = 0;
  if (!is_moved(run.segment)) {
    PAILFS_TRY(log->read({stored.segment, stored.offset}, std::span<char>(buffer).first(stored.length)));
  } else {
    PAILFS_ASSIGN(const std::vector<Range> places, locate(stored));
    for (const Range& place : places) {
      PAILFS_TRY(log->read({place.segment, place.offset}, std::span<char>(buffer).subspan(filled, place.length)));
      filled += place.length;
    }
  }
  PAILFS_ASSIGN(const Salt salt, salt_of(run.segment));
  const auto cipher = ciphers.cipher(scope, "unit", {salt.data(), kSaltSize});
  if (cipher == nullptr) return fail(Code::kCorrupt, fmt::format("the keys of bucket number {} are gone", scope));

  const std::span<char> spare = std::span<char>(buffer).subspan(stored.length, kUnitSize);
  size_t at = 0;       // in the stored bytes
  size_t written = 0;  // in out
  for (uint32_t unit = first; unit <= last; ++unit) {
    const size_t length = std::min<uint64_t>(kUnitSize, run.length - uint64_t{unit} * kUnitSize);
    const size_t from = unit == first ? skip % kUnitSize : 0;
    const size_t count = std::min(length - from, out.size() - written);
    const UnitBirth birth(run.segment, run.offset + unit * kStoredUnit);
    const std::string_view sealed(buffer.data() + at, length + kTagSize);
    const bool direct = from == 0 && count == length;
    const std::span<char> target = direct ? out.subspan(written, length) : spare.first(length);
    if (!cipher->open(birth.nonce, birth.aad_view(), sealed, target)) {
      return fail(Code::kCorrupt,
                  fmt::format("segment {:016x}, byte {}: a unit does not verify: the disk or somebody changed it",
                              run.segment, run.offset + unit * kStoredUnit));
    }
    if (!direct) std::memcpy(out.data() + written, spare.data() + from, count);
    written += count;
    at += length + kTagSize;
  }
  return {};
}

Store::ReadGuard::ReadGuard(const Store& store)
    : store_(store), slot_([&store] {
        auto& impl = *store.impl_;
        while (true) {
          const unsigned slot = impl.guard_epoch.load() & 1;
          ++impl.guards[slot];
          if ((impl.guard_epoch.load() & 1) == slot) return slot;
          --impl.guards[slot];  // the epoch turned between the two: it might not be waited for
        }
      }()) {}

Store::ReadGuard::~ReadGuard() { --store_.impl_->guards[slot_]; }

void Store::Impl::wait_for_readers() {
  const unsigned old = guard_epoch.fetch_add(1) & 1;
  while (guards[old].load() != 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

}  // namespace pailfs
