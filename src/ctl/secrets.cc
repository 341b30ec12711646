#include "ctl/secrets.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "crypto/secret.h"

namespace pailfs {
namespace {

// Reads a small file into locked memory, "-" being standard input.
Result<Secret> read_secret(Env& env, const std::string& path, size_t limit) {
  std::string bytes;
  if (path == "-") {
    bytes.resize(limit + 1);
    std::cin.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<size_t>(std::cin.gcount()));
    if (bytes.size() > limit) {
      wipe(bytes);
      return fail(Code::kInvalid,
                  fmt::format("standard input holds more than {} bytes: no secret is that long", limit));
    }
  } else {
    PAILFS_ASSIGN(bytes, env.read_file(path, limit));
  }
  Secret secret{std::string_view(bytes)};
  wipe(bytes);
  return secret;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

Result<UnlockSecret> make_secret(SlotKind kind, std::string_view bytes) {
  switch (kind) {
    case SlotKind::kKeyFile:
      if (bytes.size() < kMinKeyFile || bytes.size() > kMaxKeyFile) {
        return fail(Code::kInvalid, fmt::format("a key file holds {} bytes to 1 MiB of random data; this one holds {}",
                                                kMinKeyFile, bytes.size()));
      }
      break;
    case SlotKind::kPassphrase:
      if (bytes.empty()) return fail(Code::kInvalid, "the passphrase is empty");
      if (bytes.size() > kMaxPassphrase) return fail(Code::kInvalid, "the passphrase is longer than 64 KiB");
      break;
    case SlotKind::kRecovery:
      if (bytes.empty() || bytes.size() > 256) {
        return fail(Code::kInvalid, "that is no recovery key: it is eight groups of four letters and digits");
      }
      break;
  }
  return UnlockSecret{kind, Secret(bytes)};
}

Result<SlotKind> parse_slot_kind(std::string_view name) {
  for (const SlotKind kind : {SlotKind::kKeyFile, SlotKind::kPassphrase, SlotKind::kRecovery}) {
    if (slot_kind_name(kind) == name) return kind;
  }
  return fail(Code::kInvalid, fmt::format("'{}' is no kind of key (known: key-file, passphrase, recovery)", name));
}

Result<UnlockSecret> read_key_file(Env& env, const std::string& path) {
  PAILFS_ASSIGN(const Secret bytes, read_secret(env, path, kMaxKeyFile));
  auto secret = make_secret(SlotKind::kKeyFile, bytes.view());
  if (!secret) return context("key file " + path, std::move(secret).error());
  return secret;
}

Result<UnlockSecret> read_passphrase_file(Env& env, const std::string& path) {
  PAILFS_ASSIGN(const Secret bytes, read_secret(env, path, kMaxPassphrase + 2));
  std::string_view text = bytes.view();
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  auto secret = make_secret(SlotKind::kPassphrase, text);
  if (!secret) return context("passphrase file " + path, std::move(secret).error());
  return secret;
}

Result<UnlockSecret> read_recovery_key_file(Env& env, const std::string& path) {
  PAILFS_ASSIGN(const Secret bytes, read_secret(env, path, 4096));
  auto secret = make_secret(SlotKind::kRecovery, trim(bytes.view()));
  if (!secret) return context("recovery key file " + path, std::move(secret).error());
  return secret;
}

Status create_key_file(Env& env, const std::string& path) {
  Secret key(kMinKeyFile);
  env.random(key.span());
  PAILFS_ASSIGN(const std::unique_ptr<File> file, env.open(path, OpenMode::kCreate));
  Status done = file->write_at(0, key.view());
  if (done) done = file->sync_data();
  const std::string directory = std::filesystem::path(path).parent_path().string();
  if (done) done = env.sync_dir(directory.empty() ? "." : directory);
  if (!done) {
    // A key that may be gone after a power cut must not be used.
    static_cast<void>(env.remove(path));
    return context("writing the new key file " + path, std::move(done).error());
  }
  return {};
}

bool readable_by_others(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::perms permissions = fs::status(path, error).permissions();
  return !error && (permissions & (fs::perms::group_read | fs::perms::others_read)) != fs::perms::none;
}

}  // namespace pailfs
