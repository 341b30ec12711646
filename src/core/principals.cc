#include "core/principals.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"

namespace pailfs {

namespace {

constexpr Time kNameTime = 10'000'000'000;
constexpr size_t kKnown = 65536;

// IAM API Reference, CreateUser: "upper and lowercase alphanumeric characters with no spaces […] _+=,.@-".
bool is_iam_name(std::string_view name) {
  constexpr std::string_view kOthers = "_+=,.@-";
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kOthers.contains(c);
  });
}

}  // namespace

std::string account_id_of(std::string_view store_uuid) {
  uint64_t number = 0;
  for (const char c : store_uuid) number = number * 1099511628211u ^ static_cast<uint8_t>(c);
  return fmt::format("{:012}", number % 900'000'000'000u + 100'000'000'000u);
}

Principals::Principals(uint32_t account_uid, std::string account_id, Names names)
    : account_uid_(account_uid), account_id_(std::move(account_id)), names_(std::move(names)) {}

Principals::PrincipalPtr Principals::make(uint32_t uid) const {
  using policy::PrincipalType;
  const auto made = [](Result<policy::Caller> caller, std::string_view type, std::string username,
                       std::string userid) -> PrincipalPtr {
    if (!caller) return nullptr;
    return std::make_shared<const Principal>(
        Principal{std::move(*caller), type, std::move(username), std::move(userid)});
  };
  if (uid == 0 || uid == account_uid_) {
    return made(policy::Caller::make(PrincipalType::kRoot, {}, fmt::format("arn:aws:iam::{}:root", account_id_)),
                "Account", {}, account_id_);
  }
  const auto asked = names_(uid);
  if (!asked) {
    log_warning("uid {}: {}", uid, asked.error().message);
    return nullptr;
  }
  const std::optional<std::string>& name = *asked;
  if (name && is_iam_name(*name)) {
    const std::string arn = fmt::format("arn:aws:iam::{}:user/{}", account_id_, *name);
    if (auto user = made(policy::Caller::make(PrincipalType::kUser, *name, arn), "User", *name, std::to_string(uid))) {
      return user;
    }
  }
  if (name) log_debug("uid {} is anonymous to policies: its login name is no name of an IAM user", uid);
  return made(policy::Caller::make(PrincipalType::kAnonymous, {}, {}), "Anonymous", {}, {});
}

Principals::PrincipalPtr Principals::of(uint32_t uid, Time monotonic) {
  {
    ReaderLock lock(lock_);
    const auto known = known_.find(uid);
    if (known != known_.end() && monotonic - known->second.asked < kNameTime) return known->second.principal;
  }
  PrincipalPtr principal = make(uid);  // without the lock: a name service may be slow
  WriterLock lock(lock_);
  if (known_.size() >= kKnown) known_.clear();
  Known& known = known_[uid];
  if (principal != nullptr) known.principal = std::move(principal);
  known.asked = monotonic;
  return known.principal;
}

}  // namespace pailfs
