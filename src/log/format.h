// The byte format of the log. pailfs-format(5), section "Segments", is written from this comment.
//
// All integers are little-endian. "||" is concatenation. K is the log's key, 32 bytes.
//
// SEGMENT: a 4096-byte header, then records back to back, unaligned. Ids start at 1. A segment is written by one
// process in one run and never reopened for appending. Files are named by the id, 16 lower-case hex digits, ".seg".
//
//   offset  size
//        0     8  magic "PAILSEG1"
//        8     4  format, 1. Magic, format and the place of the HMAC are the same in every later format
//       12     4  flags, 0; a reader refuses bits that it does not know
//       16    16  UUID of the store
//       32     8  id of this segment
//       40     4  writer id
//       44     4  epoch: 1 for the first start of the store, one more at every start
//       48    32  salt, random
//       80     8  created, nanoseconds since 1970
//       88     1  kind: 1 first (the stream begins here), 2 roll (the segment before was full, or ran out of room),
//                 3 cut (a start of the store)
//       89     7  0
//       96     8  id of the segment before in the stream (0 if first)
//      104     8  offset in that segment where the stream in it ends
//      112    32  chain: of the last frame before this segment; for kind 2, which may overtake a frame that is being
//                 written, of the last frame that was finished
//      144     2  number of gaps, at most 163
//      146  24*n  gaps: segment id, offset, length (8 bytes each): ranges of the two segments before in the stream that
//                 hold no record, because the medium was full when they were written
//                 then zeros
//     4064    32  HMAC-SHA256 of the bytes before, under HKDF-SHA256(K, salt "", info "pailfs segment header")
//
// THE STREAM is followed backwards: from the segment with the highest id whose header verifies to the one that it
// names, and so on. Segments that are not met that way hold nothing (a tail that was cut, a start that was
// interrupted), and neither does what lies behind the end that the next header names.
//
// RECORD: a 32-byte header, then the payload. A record lies in one segment.
//
//        0     1  type: 'D' data, 'F' commit frame, 'P' padding
//        1     1  version, 1
//        2     2  0
//        4     4  length of the payload
//        8     8  identity: segment id XOR (offset of this header * 0x9E3779B97F4A7C15) XOR (the 8 bytes before as one
//                 integer * 0xC2B2AE3D27D4EB4F), products mod 2^64: a record that was copied elsewhere is not taken for
//                 one, and neither is one whose length is damaged
//       16    16  the first half of SHA-256(payload as stored); 'P': zeros, its payload is arbitrary
//
// The payload of 'D' is the store's. The payload of 'F':
//
//        0    32  chain of the frame before in the stream (zeros for the first)
//       32    32  data digest: SHA-256 over every 'D' and 'P' record since the frame before, in stream order:
//                 segment id (8) || offset of the record (8) || record header (32)
//       64    16  durable position: segment id, offset. All of the stream before it was durable when this was written
//       80     8  first sequence number
//       88     8  last sequence number
//       96     n  AES-256-GCM ciphertext of the store's payload
//     96+n    16  its tag
//
// Key of a frame: HKDF-SHA256(K, the segment's salt, "pailfs frame"). Nonce: 4 zero bytes || offset of the record
// header (8). Associated data: segment id (8) || offset of the record header (8) || the 96 clear bytes. An offset in a
// segment is handed out once, and the salt is random per segment: no nonce repeats under a key.
//
// CHAIN of a frame: SHA-256(payload as stored), which begins with the chain before. So chain and data digests can be
// verified without any key.
//
// No frame stands behind a gap unless the header of its own segment, or of one before, lists the gap.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "crypto/crypto.h"
#include "log/log.h"

namespace pailfs {

inline constexpr size_t kStoreUuidSize = 16;
inline constexpr size_t kMaxGaps = 163;
inline constexpr size_t kFrameClearSize = 96;
inline constexpr size_t kFrameOverhead = kFrameClearSize + kTagSize;
inline constexpr uint64_t kMaxDataLength = uint64_t{8} << 20;
inline constexpr uint64_t kMaxFramePayload = uint64_t{512} << 20;
inline constexpr size_t kRecordDigestSize = 16;
// Bytes of one record in a frame's data digest.
inline constexpr size_t kDigestEntrySize = 16 + kRecordHeaderSize;

inline constexpr char kDataRecord = 'D';
inline constexpr char kFrameRecord = 'F';
inline constexpr char kPaddingRecord = 'P';

// What all segments of one store share.
struct LogKeys {
  LogKeys(const Secret& log_key, std::string_view uuid);
  Secret log_key;
  Secret header_key;
  std::string store_uuid;
  // The cipher for the frames of a segment with this salt.
  std::unique_ptr<Aead> frame_cipher(const Salt& salt) const;
};

enum class SegmentKind : uint8_t { kFirst = 1, kRoll = 2, kCut = 3 };

struct Gap {
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t length = 0;  // bytes, record header included
};

struct SegmentHeader {
  uint64_t id = 0;
  uint32_t writer = 0;
  uint32_t epoch = 0;
  Salt salt{};
  int64_t created = 0;  // nanoseconds since 1970
  SegmentKind kind = SegmentKind::kFirst;
  uint64_t previous = 0;
  uint64_t previous_end = 0;
  Digest chain{};
  std::vector<Gap> gaps;
};

// kSegmentHeaderSize bytes. At most kMaxGaps gaps.
std::string encode_segment_header(const SegmentHeader& header, const LogKeys& keys);
// kCorrupt: not a header of segment `id` of this store. kTooNew: it is, of a format that this build does not know.
Result<SegmentHeader> decode_segment_header(std::string_view bytes, uint64_t id, const LogKeys& keys);

struct RecordHeader {
  char type = 0;
  uint32_t length = 0;  // of the payload
  std::array<char, kRecordDigestSize> digest{};
};

void encode_record_header(const RecordHeader& header, Position begin, std::span<char> out);
// Nothing when these are not the bytes of a record header that was written at `begin`.
std::optional<RecordHeader> decode_record_header(std::string_view bytes, Position begin);
// Whether `digest`, of the payload as stored, is what the header says.
bool digest_matches(const RecordHeader& header, const Digest& digest);
// Appends to `out` what a frame's data digest covers of one record.
void append_digest_entry(std::string& out, Position begin, std::string_view record_header);

// What a frame says in clear.
struct FrameClear {
  Digest previous_chain{};
  Digest data_digest{};
  Position durable;
  uint64_t first_seq = 0;
  uint64_t last_seq = 0;
};

struct SealedFrame {
  std::string record;  // record header and payload
  Digest chain{};
};
SealedFrame seal_frame(const Aead& cipher, Position begin, const FrameClear& clear, std::string_view payload);
// Nothing when `stored` is too short to be the payload of a frame.
std::optional<FrameClear> decode_frame_clear(std::string_view stored);
// The store's payload; nothing when it does not verify.
std::optional<std::string> open_frame(const Aead& cipher, Position begin, std::string_view stored);

// "segment 000000000000002a.seg, offset 4096"
std::string describe(Position position);

}  // namespace pailfs
