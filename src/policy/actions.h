// Action elements, and the actions that Amazon S3 has: Service Authorization Reference, "Actions, resources, and
// condition keys for Amazon S3".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/refusal.h"

namespace pailfs::policy {

// What a request for an action names as its resource.
enum class ActionTarget : uint8_t { kObject, kBucket, kOther };

struct KnownAction {
  std::string_view name;  // without "s3:"
  ActionTarget target;
};
std::span<const KnownAction> s3_actions();

// "s3:Get*": "The prefix and the action name are case insensitive."
class ActionPattern {
 public:
  // The fault's offset is 0.
  static Checked<ActionPattern> parse(std::string_view text);

  // `action` in lower case.
  bool matches(std::string_view action) const;
  // The actions of Amazon S3 that it stands for; whether there is one.
  std::vector<const KnownAction*> known() const;
  bool is_known() const;
  // Whether it can mean actions of Amazon S3: else it is another service's, kept, and never matches here.
  bool is_of_s3() const;
  // `"s3:GetObjct" is no action of Amazon S3; did you mean …?`
  std::string unknown_message() const;
  const std::string& text() const { return text_; }  // as it stands

 private:
  std::string text_;
  std::string encoded_;  // in lower case
  size_t fixed_ = 0;     // bytes of it before the first wildcard
};

}  // namespace pailfs::policy
