#include "core/mfa.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/codec.h"
#include "core/impl.h"
#include "crypto/totp.h"

namespace pailfs {

namespace {

constexpr uint32_t kFreeAttempts = 5;
constexpr Time kFirstWait = 30 * kSecond;
constexpr uint32_t kDoublings = 5;  // 16 minutes

// How long after its last failure the next attempt may come.
Time wait_after(uint32_t failures) {
  if (failures < kFreeAttempts) return 0;
  return kFirstWait << std::min(failures - kFreeAttempts, kDoublings);
}

std::unexpected<Error> none() { return fail(Code::kNotFound, "no device for MFA is enrolled ('pail mfa enroll')"); }

ChangeRecord change_of(Action action, const Caller& caller) { return {action, caller, 0, {}, 0}; }

}  // namespace

// version, secret, when it was enrolled, the last step, failures, when the last one came.
std::string encode_mfa(const MfaRecord& record) {
  Encoder out;
  out.u8(1);
  out.bytes(record.secret.view());
  out.i64(record.enrolled);
  out.i64(record.last_step);
  out.varint(record.failures);
  out.i64(record.failed);
  return out.take();
}

Result<MfaRecord> decode_mfa(std::string_view value) {
  Decoder in(value);
  const uint8_t format = in.u8();
  MfaRecord record;
  const std::string_view secret = in.bytes();
  record.enrolled = in.i64();
  record.last_step = in.i64();
  const uint64_t failures = in.varint();
  record.failed = in.i64();
  if (!in.done() || format != 1 || secret.size() < kMinMfaSecret || secret.size() > kMaxMfaSecret ||
      failures > UINT32_MAX) {
    return fail(Code::kCorrupt, "the record of the device for MFA does not parse");
  }
  record.secret = Secret(secret);
  record.failures = static_cast<uint32_t>(failures);
  return record;
}

Result<std::optional<MfaRecord>> MfaDevice::load() const {
  PAILFS_ASSIGN(auto value, store_.get(kStoreScope, keys::mfa_device()));
  if (!value) return std::nullopt;
  auto record = decode_mfa(*value);
  wipe(*value);
  if (!record) return std::unexpected(std::move(record).error());
  return std::optional(std::move(*record));
}

// Durable when it returns: what was used, or tried, must not count as fresh after a crash.
Status MfaDevice::save(const MfaRecord& record, Transaction tx) {
  tx.put(kStoreScope, keys::mfa_device(), encode_mfa(record));
  auto sequence = store_.commit(std::move(tx));
  if (!sequence) return std::unexpected(std::move(sequence).error());
  return store_.sync();
}

Result<std::optional<Time>> MfaDevice::enrolled() const {
  PAILFS_ASSIGN(const auto record, load());
  if (!record) return std::nullopt;
  return record->enrolled;
}

// Changes the record in memory; the caller saves it, whatever the answer is.
Status MfaDevice::accept(MfaRecord& record, std::string_view code) {
  const Time now = store_.env().now();
  const auto step = totp_match(record.secret.view(), code, now / kSecond);
  if (step && *step > record.last_step) {
    record.last_step = *step;
    record.failures = 0;
    return {};
  }
  ++record.failures;
  record.failed = now;
  return fail(Code::kAccessDenied, step ? "AccessDenied: this code was used already: wait for the next one"
                                        : "AccessDenied: the code is wrong (is the clock of the device right, and "
                                          "this machine's?)");
}

Status MfaDevice::use(std::string_view code) {
  if (code.size() != kTotpDigits || !std::ranges::all_of(code, [](char c) { return c >= '0' && c <= '9'; })) {
    return fail(Code::kInvalid, fmt::format("a code of the device is {} digits", kTotpDigits));
  }
  MutexLock lock(mutex_);
  PAILFS_ASSIGN(auto record, load());
  if (!record) return none();
  const Time now = store_.env().now();
  const Time left = record->failed + wait_after(record->failures) - now;
  if (now >= record->failed && left > 0) {
    return fail(Code::kAccessDenied, fmt::format("AccessDenied: after {} wrong codes the next one is looked at in {} s",
                                                 record->failures, left / kSecond + 1));
  }
  const Status accepted = accept(*record, code);
  PAILFS_TRY(save(*record, {}));
  return accepted;
}

Status MfaDevice::enroll(const Caller& caller, std::string_view secret, std::string_view code) {
  if (secret.size() < kMinMfaSecret || secret.size() > kMaxMfaSecret) {
    return fail(Code::kInvalid, fmt::format("the secret of a device is {} to {} bytes", kMinMfaSecret, kMaxMfaSecret));
  }
  MutexLock lock(mutex_);
  PAILFS_ASSIGN(const auto old, load());
  if (old) return fail(Code::kExists, "a device for MFA is enrolled already: remove it first ('pail mfa remove')");
  MfaRecord record;
  record.secret = Secret(secret);
  record.enrolled = store_.env().now();
  PAILFS_TRY(accept(record, code));
  Transaction tx;
  tx.record(encode_change(change_of(Action::kEnableMfaDevice, caller), record.enrolled));
  return save(record, std::move(tx));
}

Status MfaDevice::remove(const Caller& caller, std::string_view code) {
  PAILFS_TRY(use(code));
  MutexLock lock(mutex_);
  Transaction tx;
  tx.erase(keys::mfa_device());
  tx.record(encode_change(change_of(Action::kDeactivateMfaDevice, caller), store_.env().now()));
  auto sequence = store_.commit(std::move(tx));
  if (!sequence) return std::unexpected(std::move(sequence).error());
  return store_.sync();
}

}  // namespace pailfs
