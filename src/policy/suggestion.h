// What somebody meant who typed something else.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pailfs::policy {

// `; did you mean "Action"?` for the candidate that is nearest to `typed`, empty where none is near.
std::string did_you_mean(std::string_view typed, std::span<const std::string_view> candidates);

// `text` in quotation marks for a message: without control characters, and not too long.
std::string in_quotes(std::string_view text);

}  // namespace pailfs::policy
