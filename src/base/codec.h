// Reading and writing the on-disk encodings of pailfs-format(5): little-endian fixed integers, LEB128 varints,
// length-prefixed byte strings; big-endian integers for index keys, whose byte order must be their numeric order.
// Bytes are held in std::string and passed as std::string_view throughout the project.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pailfs {

class Encoder {
 public:
  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(uint16_t v) { little(v, 2); }
  void u32(uint32_t v) { little(v, 4); }
  void u64(uint64_t v) { little(v, 8); }
  void i64(int64_t v) { u64(static_cast<uint64_t>(v)); }
  void be32(uint32_t v) { big(v, 4); }
  void be64(uint64_t v) { big(v, 8); }
  void varint(uint64_t v);
  // ZigZag, so that small negative numbers stay short.
  void svarint(int64_t v) { varint((static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63)); }
  void raw(std::string_view v) { out_.append(v); }
  void bytes(std::string_view v) {
    varint(v.size());
    raw(v);
  }
  const std::string& str() const { return out_; }
  std::string take() { return std::move(out_); }
  size_t size() const { return out_.size(); }

 private:
  void little(uint64_t v, int n) {
    for (int i = 0; i < n; ++i) out_.push_back(static_cast<char>(v >> (8 * i)));
  }
  void big(uint64_t v, int n) {
    for (int i = n - 1; i >= 0; --i) out_.push_back(static_cast<char>(v >> (8 * i)));
  }
  std::string out_;
};

// Never reads past the end: after the first short read every further read returns zero or empty, and ok() is false.
class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}
  uint8_t u8() { return static_cast<uint8_t>(little(1)); }
  uint16_t u16() { return static_cast<uint16_t>(little(2)); }
  uint32_t u32() { return static_cast<uint32_t>(little(4)); }
  uint64_t u64() { return little(8); }
  int64_t i64() { return static_cast<int64_t>(little(8)); }
  uint32_t be32() { return static_cast<uint32_t>(big(4)); }
  uint64_t be64() { return big(8); }
  // In the shortest form: a longer one counts as a short read.
  uint64_t varint();
  int64_t svarint() {
    const uint64_t v = varint();
    return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
  }
  std::string_view raw(size_t n);
  std::string_view bytes() { return raw(varint()); }
  bool ok() const { return ok_; }
  // True when everything was read and nothing was short: what a parser of a whole value ends with.
  bool done() const { return ok_ && in_.empty(); }
  size_t remaining() const { return in_.size(); }

 private:
  uint64_t little(size_t n);
  uint64_t big(size_t n);
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace pailfs
