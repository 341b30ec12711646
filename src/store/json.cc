#include "store/json.h"

#include <utility>

namespace pailfs {

using Json = nlohmann::json;

Json parse_json(std::string_view text) {
  bool too_deep = false;
  // The parser itself keeps its place in a vector; members that are not kept cost nothing.
  const auto keep = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxJsonDepth;
    return !too_deep;
  };
  Json json = Json::parse(text.begin(), text.end(), keep, false);
  return too_deep ? Json(Json::value_t::discarded) : json;
}

bool above(const Json& integer, int64_t bound) {
  return integer.is_number_unsigned() ? std::cmp_greater(integer.get<uint64_t>(), bound)
                                      : integer.get<int64_t>() > bound;
}

bool below(const Json& integer, int64_t bound) {
  return integer.is_number_unsigned() ? std::cmp_less(integer.get<uint64_t>(), bound) : integer.get<int64_t>() < bound;
}

}  // namespace pailfs
