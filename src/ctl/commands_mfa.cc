#include "core/time_text.h"
#include "crypto/crypto.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {

Result<Consent> consent_argument(const CommandContext& context, const Json& args) {
  Consent consent;
  PAILFS_ASSIGN(consent.bypass_governance, bool_argument(args, "bypass_governance", false));
  if (args.contains("mfa")) {
    PAILFS_ASSIGN(std::string code, string_argument(args, "mfa"));
    const Status used = context.core.use_mfa_code(context.caller, code);
    wipe(code);
    PAILFS_TRY(used);
    consent.mfa = true;
  }
  return consent;
}

Result<Json> mfa_status(const CommandContext& context, const Json& /*args*/) {
  PAILFS_TRY(require_account(context, "the device for MFA"));
  PAILFS_ASSIGN(const auto enrolled, context.core.mfa_enrolled());
  PAILFS_ASSIGN(const auto buckets, context.core.buckets(context.caller));
  Json demanding = Json::array();
  for (const BucketInfo& bucket : buckets) {
    if (bucket.mfa_delete) demanding.push_back(bucket.name);
  }
  Json out = {{"enrolled", enrolled.has_value()}, {"buckets", std::move(demanding)}};
  if (enrolled) out["since"] = format_time(*enrolled);
  return out;
}

// The caller of run_command() wipes what is in `args`.
Result<Json> mfa_enroll(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "enrolling a device for MFA"));
  const auto encoded = args.find("secret");
  if (encoded == args.end() || !encoded->is_string()) return fail(Code::kInvalid, "the argument 'secret' is missing");
  PAILFS_ASSIGN(std::string code, string_argument(args, "code"));
  auto secret = base64_decode(encoded->get_ref<const std::string&>());
  if (!secret) return fail(Code::kInvalid, "the argument 'secret' is no base64");
  const Status done = context.core.enroll_mfa(context.caller, *secret, code);
  wipe(*secret);
  wipe(code);
  PAILFS_TRY(done);
  return mfa_status(context, Json::object());
}

Result<Json> mfa_remove(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "removing the device for MFA"));
  PAILFS_ASSIGN(const std::string code, string_argument(args, "code"));
  PAILFS_TRY(context.core.remove_mfa(context.caller, code));
  return mfa_status(context, Json::object());
}

Result<Json> mfa_set(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "changing whether a bucket demands MFA"));
  PAILFS_ASSIGN(const std::string bucket, string_argument(args, "bucket"));
  PAILFS_ASSIGN(const std::string code, string_argument(args, "code"));
  PAILFS_ASSIGN(const bool on, bool_argument(args, "on", true));
  PAILFS_TRY(context.core.set_mfa_delete(context.caller, bucket, on, code));
  PAILFS_TRY(context.core.sync());
  return Json{{"bucket", bucket}, {"mfa_delete", on}};
}

}  // namespace pailfs::commands
