#include "core/types.h"

namespace pailfs {
namespace {

// Crockford's base 32: https://www.crockford.com/base32.html. Sorts as the numbers do.
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kIdCharacters = 26;  // 130 bits: the first character has two zero bits in front

}  // namespace

std::string format_version_id(const VersionId& id) {
  std::string text;
  text.reserve(kIdCharacters);
  unsigned bits = 0, pending = 2;  // the two zero bits
  for (const char c : id) {
    bits = (bits << 8 | static_cast<uint8_t>(c)) & 0xfff;
    pending += 8;
    while (pending >= 5) {
      pending -= 5;
      text.push_back(kAlphabet[bits >> pending & 31]);
    }
  }
  return text;
}

std::optional<VersionId> parse_version_id(std::string_view text) {
  if (text.size() != kIdCharacters || text[0] > '7') return std::nullopt;
  VersionId id{};
  size_t filled = 0;
  unsigned bits = 0, pending = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t digit = kAlphabet.find(text[i]);
    if (digit == kAlphabet.npos) return std::nullopt;
    bits = (bits << 5 | static_cast<unsigned>(digit)) & 0xfff;
    pending += i == 0 ? 3 : 5;
    if (pending >= 8) {
      pending -= 8;
      id[filled++] = static_cast<char>(bits >> pending);
    }
  }
  return id;
}

std::string_view versioning_name(Versioning state) {
  switch (state) {
    case Versioning::kOff:
      return "off";
    case Versioning::kEnabled:
      return "enabled";
    case Versioning::kSuspended:
      return "suspended";
  }
  return "unknown";
}

}  // namespace pailfs
