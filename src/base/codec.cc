#include "base/codec.h"

namespace pailfs {

void Encoder::varint(uint64_t v) {
  while (v >= 0x80) {
    out_.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out_.push_back(static_cast<char>(v));
}

uint64_t Decoder::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (in_.empty()) break;
    const auto byte = static_cast<uint8_t>(in_.front());
    in_.remove_prefix(1);
    if (shift == 63 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      if (byte == 0 && shift > 0) break;  // longer than it need be: a value has one encoding only
      return value;
    }
  }
  ok_ = false;
  in_ = {};
  return 0;
}

std::string_view Decoder::raw(size_t n) {
  if (n > in_.size()) {
    ok_ = false;
    in_ = {};
    return {};
  }
  const std::string_view out = in_.substr(0, n);
  in_.remove_prefix(n);
  return out;
}

uint64_t Decoder::little(size_t n) {
  const std::string_view bytes = raw(n);
  uint64_t v = 0;
  for (size_t i = bytes.size(); i-- > 0;) v = v << 8 | static_cast<uint8_t>(bytes[i]);
  return v;
}

uint64_t Decoder::big(size_t n) {
  uint64_t v = 0;
  for (const char c : raw(n)) v = v << 8 | static_cast<uint8_t>(c);
  return v;
}

}  // namespace pailfs
