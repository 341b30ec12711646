// Block Public Access: four switches that take back what is public, for a bucket and for the whole store. Amazon S3
// User Guide, "Blocking public access to your Amazon S3 storage". What is public here says pailfs-policy(7), section
// PUBLIC ACCESS.
//
// The switches of the store are the record 'k', those of a bucket are in its own record. Looked up at every request.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/mutex.h"
#include "core/acl.h"
#include "core/types.h"

namespace pailfs {

class Store;
class Transaction;
struct InodeRecord;

// The numbers are those of pailfs-format(5).
enum class PublicSwitch : uint8_t {
  kBlockPublicAcls = 1,        // nothing public is added: not by chmod, not by setfacl, not to what is made
  kIgnorePublicAcls = 2,       // what is public in modes and ACLs does not count
  kBlockPublicPolicy = 4,      // no public policy can be put
  kRestrictPublicBuckets = 8,  // what a public policy allows counts for the account only
};
inline constexpr std::array kPublicSwitches{PublicSwitch::kBlockPublicAcls, PublicSwitch::kIgnorePublicAcls,
                                            PublicSwitch::kBlockPublicPolicy, PublicSwitch::kRestrictPublicBuckets};
inline constexpr uint8_t kAllPublicSwitches = 15;
std::string_view public_switch_name(PublicSwitch which);  // "BlockPublicAcls"
inline constexpr bool has_switch(uint8_t switches, PublicSwitch which) {
  return (switches & static_cast<uint8_t>(which)) != 0;
}

// What a mode and an ACL give to the public: permission bits (r 4, w 2, x 1) of others, and what the mask leaves to
// AuthenticatedUsers.
struct PublicGrant {
  uint32_t others = 0;
  uint32_t authenticated = 0;
  bool write_acp = false;  // to either: who may change the rest
  bool any() const { return (others | authenticated) != 0 || write_acp; }
  // Whether it gives something that `before` did not.
  bool exceeds(const PublicGrant& before) const {
    return (others & ~before.others) != 0 || (authenticated & ~before.authenticated) != 0 ||
           (write_acp && !before.write_acp);
  }
};
// `acl` may be null. An ACL's entry for others is what the mode has.
PublicGrant public_grant(uint32_t mode, const Acl* acl);
inline bool is_public_entry(const AclEntry& entry) {
  return entry.tag == AclTag::kOther || (entry.tag == AclTag::kGroup && entry.id == kAuthenticatedUsersGid);
}
// Takes all of it from a new node.
void close_to_public(InodeRecord& record);

class PublicAccess {
 public:
  explicit PublicAccess(Store& store) : store_(store) {}

  // Reads the store's own. Where they cannot be read all four are on.
  void load();
  void set_store(uint8_t switches);
  void set_bucket(Scope bucket, uint8_t switches);

  uint8_t of_store() const;
  // What holds in a bucket: its own and the store's.
  uint8_t in_force(Scope bucket) const;
  // The store's root is no bucket: nothing is on there. Spares the lock where no switch of this kind is on anywhere.
  bool is_on(PublicSwitch which, Scope bucket) const {
    if (!has_switch(used_.load(std::memory_order_acquire), which)) [[likely]]
      return false;
    return has_switch(in_force(bucket), which);
  }

  // What a change of the store's switches writes down.
  static void write(uint8_t switches, Transaction& tx);

 private:
  void note_used() REQUIRES(lock_);

  Store& store_;
  mutable SharedMutex lock_;
  uint8_t store_switches_ GUARDED_BY(lock_) = 0;
  std::map<Scope, uint8_t> buckets_ GUARDED_BY(lock_);  // those that have any
  std::atomic<uint8_t> used_ = 0;                       // the union of all
};

// The record 'k'. Without any switch there is none.
std::string encode_public_access(uint8_t switches);
Result<uint8_t> decode_public_access(std::string_view value);

}  // namespace pailfs
