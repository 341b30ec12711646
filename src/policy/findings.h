// What is doubtful about a document that is valid: `pail policy lint`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/document.h"

namespace pailfs::policy {

struct Finding {
  Place place;
  std::string message;
};

// `text` is what the document was compiled from; `bucket` the name of the bucket that it is for; empty: not known.
std::vector<Finding> find_doubtful(const Document& document, std::string_view text, std::string_view bucket = {});

}  // namespace pailfs::policy
