#include "core/request_facts.h"

#include <ctime>

#include "core/time_text.h"
#include "io/processes.h"

namespace pailfs {

RequestFacts::RequestFacts(const Principal* principal, std::string_view account_id, uint32_t uid, uint32_t gid,
                           Door door)
    : principal_(principal),
      account_id_(account_id),
      uid_(std::to_string(uid)),
      gid_(std::to_string(gid)),
      door_(door == Door::kFuse ? "fuse" : "control") {}

void RequestFacts::set_time(Time now) {
  time_ = format_time(now);
  const std::time_t seconds = now / kSecond;
  epoch_ = std::to_string(seconds);
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return;
  hour_ = std::to_string(local.tm_hour);
  weekday_ = std::to_string(local.tm_wday == 0 ? 7 : local.tm_wday);  // ISO 8601
}

void RequestFacts::set_executable(uint32_t pid) { executable_ = process_executable(pid); }

void RequestFacts::add_to(policy::Context& context) const {
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) context.add(key, value);
  };
  if (principal_ != nullptr) {
    context.add("aws:principaltype", principal_->type);
    add("aws:principalarn", principal_->arn);
    if (!principal_->arn.empty()) context.add("aws:principalaccount", account_id_);
    for (const auto& [key, value] : principal_->tags) context.add(key, value);
    add("aws:username", principal_->username);
    context.add("aws:userid", principal_->userid.empty() ? std::string_view("anonymous") : principal_->userid);
  }
  context.add("aws:securetransport", "true");  // nothing of it leaves the machine
  context.add("aws:sourceip", "127.0.0.1");
  context.add("pail:uid", uid_);
  context.add("pail:gid", gid_);
  context.add("pail:door", door_);
  add("aws:currenttime", time_);
  add("aws:epochtime", epoch_);
  add("pail:hour", hour_);
  add("pail:weekday", weekday_);
  add("pail:executable", executable_);
}

}  // namespace pailfs
