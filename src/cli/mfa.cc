#include "cli/mfa.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/qr.h"
#include "cli/session.h"
#include "crypto/crypto.h"
#include "crypto/totp.h"
#include "io/env.h"

namespace pailfs::cli {

Result<std::string> mfa_code(Invocation& invocation, const std::string& given) {
  std::string code = given;
  if (code == "-") {
    PAILFS_ASSIGN(code, invocation.console.ask_line("Code of the device: "));
  }
  std::erase_if(code, [](char c) { return c == ' ' || c == '\r' || c == '\t'; });
  return code;
}

Status add_mfa(Invocation& invocation, const std::string& given, Json& args) {
  if (given.empty()) return {};
  PAILFS_ASSIGN(args["mfa"], mfa_code(invocation, given));
  return {};
}

namespace {

constexpr size_t kSecretSize = 20;  // bytes; RFC 4226, section 4: 160 bits

struct MfaOptions {
  std::string bucket;
  std::string code = "-";
  std::string label;
};
using MfaOptionsPtr = std::shared_ptr<MfaOptions>;

// RFC 3986, "unreserved" characters as they are.
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

std::string otpauth_uri(std::string_view label, std::string_view secret) {
  return fmt::format("otpauth://totp/pailfs:{}?secret={}&issuer=pailfs&algorithm=SHA1&digits={}&period={}",
                     percent_encoded(label), secret, kTotpDigits, kTotpPeriod);
}

// Shown, and wiped: on standard error, so that --json is one document.
Status show_secret(Invocation& invocation, const std::string& label, const Secret& secret) {
  std::string text = base32(secret.view());
  std::string uri = otpauth_uri(label, text);
  if (invocation.console.interactive()) {
    PAILFS_ASSIGN(std::string picture, terminal_qr(uri));
    invocation.console.error(picture);
    wipe(picture);
  }
  invocation.console.error("Let the device read this, shown this once:\n\n    ");
  invocation.console.error(uri);
  invocation.console.error("\n\nor type its secret: ");
  invocation.console.error(text);
  invocation.console.error(
      "\nWithout the device, and without a copy of the secret, what takes a code cannot be done.\n");
  wipe(uri);
  wipe(text);
  return {};
}

Result<Json> enroll_on(Invocation& invocation, Session& session, const std::string& label) {
  PAILFS_ASSIGN(const Json before, session.request("mfa.status", Json::object()));
  if (flag_member(before, "enrolled")) {
    return fail(Code::kExists, "a device for MFA is enrolled already: remove it first ('pail mfa remove')");
  }
  Secret secret(kSecretSize);
  posix_env().random(secret.span());
  PAILFS_TRY(show_secret(invocation, label, secret));
  PAILFS_ASSIGN(const std::string code, mfa_code(invocation, "-"));
  Json args = {{"secret", base64(secret.view())}, {"code", code}};
  auto result = session.request("mfa.enroll", args);
  wipe_strings(args);
  return result;
}

int enroll(Invocation& invocation, const MfaOptions& options) {
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  auto session = Session::open(invocation, place->store, Access::kChange);
  if (!session) return invocation.failed(session.error());
  const std::string label =
      options.label.empty() ? std::filesystem::path(place->store).filename().string() : options.label;
  auto result = enroll_on(invocation, **session, label);
  const Status closed = (*session)->close();
  if (!result) return invocation.failed(result.error());
  if (!closed) return invocation.failed(closed.error());
  if (invocation.printed_json(*result)) return kExitOk;
  invocation.line("The device is enrolled. 'pail mfa enable BUCKET' has a bucket demand its codes.");
  return kExitOk;
}

// One request, with a code if it takes one.
int simple(Invocation& invocation, std::string_view op, Json args, const std::string* code,
           const std::function<std::string(const Json&)>& words) {
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  if (code != nullptr) {
    auto typed = mfa_code(invocation, *code);
    if (!typed) return invocation.failed(typed.error());
    args["code"] = std::move(*typed);
  }
  auto result = request_once(invocation, place->store, code != nullptr ? Access::kChange : Access::kRead, op, args);
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) invocation.line(words(*result));
  return kExitOk;
}

std::string status_words(const Json& status) {
  if (!flag_member(status, "enrolled")) return "No device is enrolled.";
  std::string buckets;
  for (const Json& bucket : object_member(status, "buckets")) {
    buckets += (buckets.empty() ? "" : ", ") + (bucket.is_string() ? bucket.get<std::string>() : std::string());
  }
  return fmt::format("A device is enrolled, since {}. {}.", text_member(status, "since"),
                     buckets.empty() ? "No bucket demands its codes" : "Its codes are demanded by " + buckets);
}

}  // namespace

void add_mfa_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const mfa = app.add_subcommand("mfa", "Have removals demand a code of a device (MFA delete)");
  mfa->require_subcommand(1);
  auto options = std::make_shared<MfaOptions>();
  invocation
      .command(*mfa, "enroll", "Enrol the account's device: shows a secret, and takes a first code",
               [&invocation, options] { return enroll(invocation, *options); })
      ->add_option("--label", options->label, "What the device calls it; default: the store's directory");
  invocation.command(*mfa, "status", "Say whether there is a device, and which buckets demand it",
                     [&invocation] { return simple(invocation, "mfa.status", Json::object(), nullptr, status_words); });

  options = std::make_shared<MfaOptions>();
  invocation
      .command(*mfa, "remove", "Remove the device; no bucket may demand it any more",
               [&invocation, options] {
                 return simple(invocation, "mfa.remove", Json::object(), &options->code,
                               [](const Json&) { return "The device is removed."; });
               })
      ->add_option("--code", options->code, "A code of it; default: asks");

  const auto add = [&](const char* name, const char* description, bool on) {
    const auto of_bucket = std::make_shared<MfaOptions>();
    CLI::App* const leaf = invocation.command(*mfa, name, description, [&invocation, of_bucket, on] {
      return simple(invocation, "mfa.set", {{"bucket", of_bucket->bucket}, {"on", on}}, &of_bucket->code,
                    [&](const Json& result) {
                      return fmt::format("MFA delete is {} in {}.", on ? "on" : "off", text_member(result, "bucket"));
                    });
    });
    leaf->add_option("BUCKET", of_bucket->bucket)->required();
    leaf->add_option("--code", of_bucket->code, "A code of the device; default: asks");
  };
  add("enable", "Have a bucket demand codes", true);
  add("disable", "Have a bucket demand none any more", false);
}

}  // namespace pailfs::cli
