// IAM's evaluation once more, written from the AWS pages and not from src/policy: straight over the JSON of a case,
// with nothing compiled and no speed in mind. It takes documents that are valid.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace pailfs::test {

// "Allow", "ExplicitDeny", "ImplicitDeny".
std::string reference_decision(const nlohmann::json& one_case);

// The same by what statements say alone: the root of the account, too, is allowed what one of them allows him. So it is
// on a mount, where mode bits come next.
std::string reference_statements(const nlohmann::json& one_case);

}  // namespace pailfs::test
