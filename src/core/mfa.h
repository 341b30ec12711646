// The device behind MFA delete: one secret for the account, of which codes are made by time (RFC 6238). It is kept in
// the store's own scope, sealed as every value is.
//
// A code is good once. After five wrong ones in a row each further attempt waits, 30 seconds first, then twice as long
// each time, up to 16 minutes: whoever guesses has one chance in about 3,000 in a day. Thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "base/mutex.h"
#include "core/types.h"
#include "crypto/secret.h"
#include "store/store.h"

namespace pailfs {

inline constexpr size_t kMinMfaSecret = 16;  // bytes; RFC 4226, section 4
inline constexpr size_t kMaxMfaSecret = 64;

// What is stored: the record 't'.
struct MfaRecord {
  Secret secret;
  Time enrolled = 0;
  int64_t last_step = 0;  // of the last code that was accepted; no older one is any more
  uint32_t failures = 0;  // wrong codes since
  Time failed = 0;        // when the last one came
};
std::string encode_mfa(const MfaRecord& record);
Result<MfaRecord> decode_mfa(std::string_view value);

class MfaDevice {
 public:
  explicit MfaDevice(Store& store) : store_(store) {}

  // When it was enrolled; nullopt: there is none.
  Result<std::optional<Time>> enrolled() const;
  // kExists where there is one; kAccessDenied where `code` is not one of this secret.
  Status enroll(const Caller& caller, std::string_view secret, std::string_view code);
  Status remove(const Caller& caller, std::string_view code);
  // Accepts a code, durably so that it is never accepted again, or says why not: kNotFound where there is no device,
  // kInvalid for what is no code, kAccessDenied for a wrong one or while attempts have to wait.
  Status use(std::string_view code);

 private:
  Result<std::optional<MfaRecord>> load() const;
  Status save(const MfaRecord& record, Transaction tx) REQUIRES(mutex_);
  Status accept(MfaRecord& record, std::string_view code) REQUIRES(mutex_);

  Store& store_;
  Mutex mutex_;
};

}  // namespace pailfs
