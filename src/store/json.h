// Reading JSON that somebody else may have written: files that were damaged, requests of users. A document that nests
// deeper than anything of ours is refused, since what walks a document afterwards (dump(), wiping) recurses.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

namespace pailfs {

inline constexpr int kMaxJsonDepth = 32;

// is_discarded() where the text is not JSON, or nests too deep.
nlohmann::json parse_json(std::string_view text);

// Whether an integer of a document is above or below another one, however large it is: get<int>() cuts it off.
bool above(const nlohmann::json& integer, int64_t bound);
bool below(const nlohmann::json& integer, int64_t bound);

}  // namespace pailfs
