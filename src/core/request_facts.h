// Condition keys that say who asks, and what else is the same for everything that one request asks of policies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/principals.h"
#include "core/types.h"
#include "policy/context.h"

namespace pailfs {

// Holds what the contexts point to, and must outlive them; so must the principal and the account's id.
class RequestFacts {
 public:
  // `principal` null: nobody knows who it is.
  RequestFacts(const Principal* principal, std::string_view account_id, uint32_t uid, uint32_t gid, Door door);
  // What is asked for only where a policy wants it: aws:CurrentTime and what follows from it, and pail:executable.
  void set_time(Time now);
  void set_executable(uint32_t pid);

  void add_to(policy::Context& context) const;

 private:
  const Principal* principal_;
  std::string_view account_id_;
  std::string uid_, gid_;
  std::string_view door_;
  std::string time_, epoch_, hour_, weekday_, executable_;
};

}  // namespace pailfs
