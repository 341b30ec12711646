#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/types.h"

namespace pailfs {

namespace {

struct Range {
  char32_t first, last;
};
// Unicode 15: categories Cc, Cf, Zl, Zp and what is no character, as far as they are not among the surrogates.
constexpr auto kUnseen = std::to_array<Range>(
    {{0x00, 0x1f},       {0x7f, 0x9f},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
     {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x180e, 0x180e},
     {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},   {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},
     {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f},
     {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}});

bool is_seen(char32_t c) {
  return std::ranges::none_of(kUnseen, [c](const Range& range) { return range.first <= c && c <= range.last; });
}

// Bytes of the character that the text begins with; 0: it is none that is shown.
size_t shown_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  // RFC 3629, section 4: the shortest form only, no surrogates, nothing beyond U+10FFFF.
  struct Form {
    uint8_t mask, lead;
    char32_t least;
  };
  constexpr auto kForms =
      std::to_array<Form>({{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}});
  for (size_t length = 1; length <= kForms.size(); ++length) {
    const Form& form = kForms[length - 1];
    if ((byte(0) & form.mask) != form.lead) continue;
    if (text.size() < length) return 0;
    char32_t c = byte(0) & static_cast<uint8_t>(~form.mask);
    for (size_t i = 1; i < length; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return 0;
      c = c << 6 | (byte(i) & 0x3f);
    }
    const bool valid = c >= form.least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    return valid && is_seen(c) ? length : 0;
  }
  return 0;
}

}  // namespace

std::string printable(std::string_view name) {
  std::string shown;
  while (!name.empty()) {
    const size_t length = shown_bytes(name);
    if (length != 0) {
      shown += name.substr(0, length);
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<uint8_t>(name.front()));
    }
    name.remove_prefix(std::max<size_t>(length, 1));
  }
  return shown;
}

}  // namespace pailfs
