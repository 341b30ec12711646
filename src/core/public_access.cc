#include "core/public_access.h"

#include <algorithm>

#include "base/codec.h"
#include "base/logging.h"
#include "core/records.h"
#include "store/store.h"

namespace pailfs {

std::string_view public_switch_name(PublicSwitch which) {
  switch (which) {
    case PublicSwitch::kBlockPublicAcls:
      return "BlockPublicAcls";
    case PublicSwitch::kIgnorePublicAcls:
      return "IgnorePublicAcls";
    case PublicSwitch::kBlockPublicPolicy:
      return "BlockPublicPolicy";
    case PublicSwitch::kRestrictPublicBuckets:
      return "RestrictPublicBuckets";
  }
  return "";
}

PublicGrant public_grant(uint32_t mode, const Acl* acl) {
  PublicGrant out{.others = mode & 7};
  if (acl == nullptr) return out;
  uint32_t mask = 7;
  for (const AclEntry& entry : acl->entries) {
    if (entry.tag == AclTag::kMask) mask = entry.permissions;
    if (is_public_entry(entry)) out.write_acp |= (entry.permissions & kWriteAcp) != 0;
    if (entry.tag == AclTag::kGroup && entry.id == kAuthenticatedUsersGid) out.authenticated = entry.permissions & 7;
  }
  out.authenticated &= mask;
  return out;
}

namespace {

AclPtr closed_to_public(const AclPtr& acl) {
  if (acl == nullptr || std::ranges::none_of(acl->entries, [](const AclEntry& entry) {
        return is_public_entry(entry) && entry.permissions != 0;
      })) {
    return acl;
  }
  auto closed = std::make_shared<Acl>(*acl);
  for (AclEntry& entry : closed->entries) {
    if (is_public_entry(entry)) entry.permissions = 0;
  }
  return closed;
}

}  // namespace

void close_to_public(InodeRecord& record) {
  record.mode &= ~uint32_t{7};
  record.acl = closed_to_public(record.acl);
  record.default_acl = closed_to_public(record.default_acl);
}

// version, switches.
std::string encode_public_access(uint8_t switches) {
  Encoder out;
  out.u8(1);
  out.u8(switches);
  return out.take();
}

Result<uint8_t> decode_public_access(std::string_view value) {
  Decoder in(value);
  const uint8_t format = in.u8(), switches = in.u8();
  if (!in.done() || format != 1 || switches == 0 || switches > kAllPublicSwitches) {
    return fail(Code::kCorrupt, "the record of the store's Block Public Access does not parse");
  }
  return switches;
}

void PublicAccess::load() {
  const auto value = store_.get(kStoreScope, keys::public_access());
  if (value && !*value) return;
  const auto switches = value ? decode_public_access(**value) : Result<uint8_t>(std::unexpected(value.error()));
  if (!switches) {
    log_error(
        "the store's Block Public Access cannot be read ({}): all of it is on until 'pail public-access-block' or "
        "'pail repair' writes it anew",
        switches.error().message);
  }
  set_store(switches ? *switches : kAllPublicSwitches);
}

void PublicAccess::set_store(uint8_t switches) {
  WriterLock lock(lock_);
  store_switches_ = switches;
  note_used();
}

void PublicAccess::set_bucket(Scope bucket, uint8_t switches) {
  WriterLock lock(lock_);
  if (switches == 0) {
    buckets_.erase(bucket);
  } else {
    buckets_[bucket] = switches;
  }
  note_used();
}

void PublicAccess::note_used() {
  uint8_t used = store_switches_;
  for (const auto& [bucket, switches] : buckets_) used = static_cast<uint8_t>(used | switches);
  used_.store(used, std::memory_order_release);
}

uint8_t PublicAccess::of_store() const {
  ReaderLock lock(lock_);
  return store_switches_;
}

uint8_t PublicAccess::in_force(Scope bucket) const {
  if (bucket == kStoreScope) return 0;
  ReaderLock lock(lock_);
  const auto found = buckets_.find(bucket);
  return static_cast<uint8_t>(store_switches_ | (found == buckets_.end() ? 0 : found->second));
}

void PublicAccess::write(uint8_t switches, Transaction& tx) {
  if (switches == 0) return tx.erase(keys::public_access());
  tx.put(kStoreScope, keys::public_access(), encode_public_access(switches));
}

}  // namespace pailfs
