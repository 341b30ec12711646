#include "core/tags.h"

#include <algorithm>

namespace pailfs {
namespace {

bool is_tag_text(std::string_view text, size_t least, size_t most) {
  constexpr std::string_view kOthers = " _.:/=+-@";
  return text.size() >= least && text.size() <= most && std::ranges::all_of(text, [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) != 0 ||
                  kOthers.contains(c);
         });
}

}  // namespace

bool is_tag(std::string_view key, std::string_view value) {
  return is_tag_text(key, 1, 128) && is_tag_text(value, 0, 256);
}

}  // namespace pailfs
