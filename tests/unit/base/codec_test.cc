#include "base/codec.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace pailfs {
namespace {

const std::vector<uint64_t> kEdges = {
    0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0xffff, 0xffffffff, 1ull << 32, (1ull << 63) - 1, 1ull << 63, UINT64_MAX};

TEST(Codec, EveryTypeIsReadBack) {
  for (const uint64_t v : kEdges) {
    const auto sv = static_cast<int64_t>(v);
    Encoder out;
    out.u8(static_cast<uint8_t>(v));
    out.u16(static_cast<uint16_t>(v));
    out.u32(static_cast<uint32_t>(v));
    out.u64(v);
    out.i64(sv);
    out.be32(static_cast<uint32_t>(v));
    out.be64(v);
    out.varint(v);
    out.svarint(sv);
    out.bytes("some bytes");
    out.raw("raw");
    Decoder in(out.str());
    EXPECT_EQ(in.u8(), static_cast<uint8_t>(v));
    EXPECT_EQ(in.u16(), static_cast<uint16_t>(v));
    EXPECT_EQ(in.u32(), static_cast<uint32_t>(v));
    EXPECT_EQ(in.u64(), v);
    EXPECT_EQ(in.i64(), sv);
    EXPECT_EQ(in.be32(), static_cast<uint32_t>(v));
    EXPECT_EQ(in.be64(), v);
    EXPECT_EQ(in.varint(), v);
    EXPECT_EQ(in.svarint(), sv);
    EXPECT_EQ(in.bytes(), "some bytes");
    EXPECT_EQ(in.remaining(), 3u);
    EXPECT_FALSE(in.done());
    EXPECT_EQ(in.raw(3), "raw");
    EXPECT_TRUE(in.done());
  }
}

TEST(Codec, HasTheDocumentedByteOrder) {
  Encoder out;
  out.u32(0x01020304);
  out.be32(0x01020304);
  out.varint(300);
  out.svarint(-1);
  EXPECT_EQ(out.str(), "\x04\x03\x02\x01\x01\x02\x03\x04\xac\x02\x01");
}

TEST(Codec, BigEndianKeysSortAsTheirNumbers) {
  std::string previous;
  for (const uint64_t v : kEdges) {
    Encoder out;
    out.be64(v);
    EXPECT_LE(previous, out.str());
    previous = out.str();
  }
}

TEST(Codec, SmallNegativeNumbersStayShort) {
  Encoder out;
  out.svarint(-64);
  EXPECT_EQ(out.size(), 1u);
}

TEST(Codec, EveryShorteningIsNoticedAndNothingIsReadAfterwards) {
  Encoder out;
  out.u64(7);
  out.varint(UINT64_MAX);
  out.bytes("text");
  const std::string whole = out.take();
  for (size_t size = 0; size < whole.size(); ++size) {
    Decoder in(std::string_view(whole).substr(0, size));
    in.u64();
    in.varint();
    in.bytes();
    EXPECT_FALSE(in.ok()) << size;
    EXPECT_FALSE(in.done());
    EXPECT_EQ(in.u8(), 0u);
    EXPECT_EQ(in.varint(), 0u);
    EXPECT_EQ(in.bytes(), "");
    EXPECT_EQ(in.remaining(), 0u);
    EXPECT_FALSE(in.ok());
  }
}

TEST(Codec, AFixedIntegerThatIsCutShortReadsAsZero) {
  for (size_t size = 0; size < 8; ++size) {
    const std::string bytes(size, '\xff');
    EXPECT_EQ(Decoder(bytes).u64(), 0u);
    EXPECT_EQ(Decoder(bytes).be64(), 0u);
  }
}

TEST(Codec, RefusesVarintsThatDoNotFit) {
  Decoder too_long(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11));
  EXPECT_EQ(too_long.varint(), 0u);
  EXPECT_FALSE(too_long.ok());
  Decoder too_large(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
  EXPECT_EQ(too_large.varint(), 0u);
  EXPECT_FALSE(too_large.ok());
}

TEST(Codec, RefusesVarintsThatAreLongerThanTheyNeedBe) {
  for (const std::string_view bytes : {std::string_view("\x80\x00", 2), std::string_view("\x81\x80\x00", 3)}) {
    Decoder in(bytes);
    EXPECT_EQ(in.varint(), 0u);
    EXPECT_FALSE(in.ok());
  }
  Decoder zero(std::string_view("\x00", 1));
  EXPECT_EQ(zero.varint(), 0u);
  EXPECT_TRUE(zero.done());
}

TEST(Codec, ALengthBeyondTheInputIsNotBelieved) {
  for (const uint64_t length : {uint64_t{5}, uint64_t{1} << 40, UINT64_MAX}) {
    Encoder out;
    out.varint(length);
    out.raw("four");
    Decoder in(out.str());
    EXPECT_EQ(in.bytes(), "");
    EXPECT_FALSE(in.ok());
  }
}

TEST(Codec, RandomBytesNeverMakeTheDecoderReadPastItsInput) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    // A copy of exactly that size on the heap, for the address sanitizer.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    Decoder in(std::string_view(exact.data(), exact.size()));
    while (in.ok() && in.remaining() > 0) {
      switch (random() % 5) {
        case 0:
          in.u32();
          break;
        case 1:
          in.be64();
          break;
        case 2:
          in.varint();
          break;
        case 3:
          in.bytes();
          break;
        default:
          in.svarint();
      }
    }
  }
}

}  // namespace
}  // namespace pailfs
