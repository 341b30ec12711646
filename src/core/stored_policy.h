// A policy document as it was given, and compiled, once, for all who are decided by it.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "policy/document.h"

namespace pailfs {

// Of one object alone: the rest of the key is the tag's.
inline constexpr std::string_view kExistingTagKeys = "s3:existingobjecttag/";

// What is costly to find out, and asked for only where a statement wants it.
struct Wanted {
  bool time = false;
  bool executable = false;
  bool tags = false;  // of the object
  Wanted& operator|=(const Wanted& other) {
    time |= other.time;
    executable |= other.executable;
    tags |= other.tags;
    return *this;
  }
};

struct StoredPolicy {
  std::string text;
  // Null: it cannot be read. Then nobody whom it could be about is allowed anything, but for the account's root.
  std::shared_ptr<const policy::Document> document;
  Wanted wants = {};
  bool is_public = false;  // of a bucket policy, as S3 has it: policy/public.h
};
using StoredPolicyPtr = std::shared_ptr<const StoredPolicy>;

// kInvalid: what is wrong with the document, with line and column, and that it is malformed as IAM and S3 have it.
Result<StoredPolicyPtr> compile_policy(std::string text, const policy::DocumentRules& rules);
// Of what stands in a record: where the document is no policy any more, one without a compiled form, and in `why` what
// is wrong.
StoredPolicyPtr read_policy(std::string text, policy::DocumentKind kind, std::string& why);

}  // namespace pailfs
