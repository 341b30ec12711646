#include "policy/refusal.h"

#include <fmt/format.h>

#include <algorithm>

namespace pailfs::policy {

Place place_of(std::string_view text, size_t offset) {
  Place place;
  for (const char c : text.substr(0, std::min(offset, text.size()))) {
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((c & 0xC0) != 0x80) {  // no byte that continues a character of UTF-8
      ++place.column;
    }
  }
  return place;
}

std::string Refusal::to_string() const {
  return fmt::format("line {}, column {}: {}", place.line, place.column, message);
}

}  // namespace pailfs::policy
