#include "log/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/codec.h"

namespace pailfs {
namespace {

constexpr std::string_view kMagic = "PAILSEG1";
constexpr uint32_t kFormat = 1;
constexpr uint8_t kRecordVersion = 1;
constexpr uint64_t kOffsetFactor = 0x9E3779B97F4A7C15;
constexpr uint64_t kFieldsFactor = 0xC2B2AE3D27D4EB4F;
constexpr size_t kSignedSize = kSegmentHeaderSize - kDigestSize;

template <size_t N>
std::array<char, N> take(Decoder& in) {
  std::array<char, N> out{};
  const std::string_view bytes = in.raw(N);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

void put_little(char* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

uint64_t get_little(const char* in, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(in[i]);
  return value;
}

// `fields`: the first 8 bytes of the record header.
uint64_t record_identity(Position begin, uint64_t fields) {
  return begin.segment ^ (begin.offset * kOffsetFactor) ^ (fields * kFieldsFactor);
}

Nonce frame_nonce(Position begin) {
  Nonce nonce{};
  put_little(nonce.data() + 4, begin.offset, 8);
  return nonce;
}

std::string frame_aad(Position begin, std::string_view clear) {
  Encoder aad;
  aad.u64(begin.segment);
  aad.u64(begin.offset);
  aad.raw(clear);
  return aad.take();
}

}  // namespace

LogKeys::LogKeys(const Secret& key, std::string_view uuid)
    : log_key(key.clone()), header_key(hkdf(key.view(), "", "pailfs segment header")), store_uuid(uuid) {}

std::unique_ptr<Aead> LogKeys::frame_cipher(const Salt& salt) const {
  return std::make_unique<Aead>(hkdf(log_key.view(), {salt.data(), salt.size()}, "pailfs frame"));
}

std::string encode_segment_header(const SegmentHeader& header, const LogKeys& keys) {
  Encoder out;
  out.raw(kMagic);
  out.u32(kFormat);
  out.u32(0);
  out.raw(keys.store_uuid);
  out.u64(header.id);
  out.u32(header.writer);
  out.u32(header.epoch);
  out.raw({header.salt.data(), header.salt.size()});
  out.i64(header.created);
  out.u64(static_cast<uint8_t>(header.kind));  // one byte and seven zeros
  out.u64(header.previous);
  out.u64(header.previous_end);
  out.raw(view(header.chain));
  out.u16(static_cast<uint16_t>(header.gaps.size()));
  for (const Gap& gap : header.gaps) {
    out.u64(gap.segment);
    out.u64(gap.offset);
    out.u64(gap.length);
  }
  std::string bytes = out.take();
  bytes.resize(kSignedSize);
  const Digest mac = hmac_sha256(keys.header_key.view(), bytes);
  bytes.append(view(mac));
  return bytes;
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes, uint64_t id, const LogKeys& keys) {
  const auto damaged = [id](std::string_view what) {
    return fail(Code::kCorrupt, fmt::format("header of segment {}: {}", segment_name(id), what));
  };
  if (bytes.size() != kSegmentHeaderSize) return damaged("too short");
  const Digest mac = hmac_sha256(keys.header_key.view(), bytes.substr(0, kSignedSize));
  if (!equal_secret(view(mac), bytes.substr(kSignedSize))) return damaged("does not verify");
  Decoder in(bytes.substr(0, kSignedSize));
  if (in.raw(kMagic.size()) != kMagic) return damaged("no magic");
  const uint32_t format = in.u32();
  const uint32_t flags = in.u32();
  if (format != kFormat || flags != 0) {
    return fail(Code::kTooNew, fmt::format("segment {} was written by a newer pailfs (format {}, flags {:#x})",
                                           segment_name(id), format, flags));
  }
  if (in.raw(kStoreUuidSize) != keys.store_uuid) return damaged("belongs to another store");
  SegmentHeader header;
  header.id = in.u64();
  if (header.id != id) return damaged(fmt::format("is that of segment {}", segment_name(header.id)));
  header.writer = in.u32();
  header.epoch = in.u32();
  header.salt = take<kSaltSize>(in);
  header.created = in.i64();
  const uint64_t kind = in.u64();
  if (kind < 1 || kind > 3) return damaged("unknown kind");
  header.kind = static_cast<SegmentKind>(kind);
  header.previous = in.u64();
  header.previous_end = in.u64();
  header.chain = take<kDigestSize>(in);
  const size_t gaps = in.u16();
  if (gaps > kMaxGaps) return damaged("too many gaps");
  for (size_t i = 0; i < gaps; ++i) {
    Gap gap;
    gap.segment = in.u64();
    gap.offset = in.u64();
    gap.length = in.u64();
    header.gaps.push_back(gap);
  }
  if (header.kind == SegmentKind::kFirst ? header.previous != 0 : header.previous == 0 || header.previous >= id) {
    return damaged("names an impossible segment before it");
  }
  return header;
}

void encode_record_header(const RecordHeader& header, Position begin, std::span<char> out) {
  out[0] = header.type;
  out[1] = static_cast<char>(kRecordVersion);
  out[2] = out[3] = 0;
  put_little(&out[4], header.length, 4);
  put_little(&out[8], record_identity(begin, get_little(&out[0], 8)), 8);
  std::memcpy(&out[16], header.digest.data(), header.digest.size());
}

std::optional<RecordHeader> decode_record_header(std::string_view bytes, Position begin) {
  if (bytes.size() < kRecordHeaderSize) return std::nullopt;
  if (get_little(&bytes[8], 8) != record_identity(begin, get_little(&bytes[0], 8))) return std::nullopt;
  if (bytes[1] != static_cast<char>(kRecordVersion) || bytes[2] != 0 || bytes[3] != 0) return std::nullopt;
  RecordHeader header;
  header.type = bytes[0];
  if (header.type != kDataRecord && header.type != kFrameRecord && header.type != kPaddingRecord) return std::nullopt;
  header.length = static_cast<uint32_t>(get_little(&bytes[4], 4));
  std::memcpy(header.digest.data(), &bytes[16], header.digest.size());
  return header;
}

bool digest_matches(const RecordHeader& header, const Digest& digest) {
  return std::equal(header.digest.begin(), header.digest.end(), digest.begin());
}

void append_digest_entry(std::string& out, Position begin, std::string_view record_header) {
  std::array<char, 16> position{};
  put_little(position.data(), begin.segment, 8);
  put_little(position.data() + 8, begin.offset, 8);
  out.append(position.data(), position.size());
  out.append(record_header);
}

SealedFrame seal_frame(const Aead& cipher, Position begin, const FrameClear& clear, std::string_view payload) {
  Encoder out;
  out.raw(view(clear.previous_chain));
  out.raw(view(clear.data_digest));
  out.u64(clear.durable.segment);
  out.u64(clear.durable.offset);
  out.u64(clear.first_seq);
  out.u64(clear.last_seq);
  SealedFrame frame;
  frame.record.resize(kRecordHeaderSize + kFrameOverhead + payload.size());
  const std::span<char> stored = std::span<char>(frame.record).subspan(kRecordHeaderSize);
  std::copy(out.str().begin(), out.str().end(), stored.begin());
  cipher.seal(frame_nonce(begin), frame_aad(begin, out.str()), payload, stored.subspan(kFrameClearSize));
  frame.chain = sha256({stored.data(), stored.size()});
  RecordHeader header{.type = kFrameRecord, .length = static_cast<uint32_t>(stored.size()), .digest = {}};
  std::copy_n(frame.chain.begin(), header.digest.size(), header.digest.begin());
  encode_record_header(header, begin, std::span<char>(frame.record).first(kRecordHeaderSize));
  return frame;
}

std::optional<FrameClear> decode_frame_clear(std::string_view stored) {
  if (stored.size() < kFrameOverhead) return std::nullopt;
  Decoder in(stored);
  FrameClear clear;
  clear.previous_chain = take<kDigestSize>(in);
  clear.data_digest = take<kDigestSize>(in);
  clear.durable.segment = in.u64();
  clear.durable.offset = in.u64();
  clear.first_seq = in.u64();
  clear.last_seq = in.u64();
  return clear;
}

std::optional<std::string> open_frame(const Aead& cipher, Position begin, std::string_view stored) {
  if (stored.size() < kFrameOverhead) return std::nullopt;
  std::string payload(stored.size() - kFrameOverhead, '\0');
  const std::string aad = frame_aad(begin, stored.substr(0, kFrameClearSize));
  if (!cipher.open(frame_nonce(begin), aad, stored.substr(kFrameClearSize), payload)) return std::nullopt;
  return payload;
}

std::string describe(Position position) {
  return fmt::format("segment {}, offset {}", segment_name(position.segment), position.offset);
}

}  // namespace pailfs
