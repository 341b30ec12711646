#include "store/keyring.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "store/json.h"

namespace pailfs {

using Json = nlohmann::json;

namespace {
constexpr int kKeyringFormat = 1;
constexpr size_t kMaxKeyringSize = size_t{64} << 20;
constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

std::string copy_path(const std::string& directory, int copy) { return fmt::format("{}/keyring.{}", directory, copy); }

std::string slot_aad(std::string_view uuid, uint32_t id) { return fmt::format("slot {} ", id) + std::string(uuid); }
std::string scope_aad(std::string_view uuid, Scope scope) {
  return fmt::format("scope {} ", scope) + std::string(uuid);
}

bool unwrap(const Secret& key, std::string_view aad, std::string_view wrapped, Secret& plaintext) {
  if (wrapped.size() != kNonceSize + plaintext.size() + kTagSize) return false;
  Nonce nonce;
  std::copy_n(wrapped.begin(), kNonceSize, nonce.begin());
  return Aead(key).open(nonce, aad, wrapped.substr(kNonceSize), plaintext.span());
}

// As printed, less dashes and spaces, in capitals; the letters that Crockford reads as digits are taken as such.
Secret normalize_recovery_key(std::string_view text) {
  Secret out(text.size());
  size_t n = 0;
  for (char c : text) {
    if (c == '-' || c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    out.data()[n++] = c;
  }
  return Secret(out.view().substr(0, n));
}

SlotKind kind_from_name(std::string_view name) {
  if (name == "passphrase") return SlotKind::kPassphrase;
  return name == "recovery" ? SlotKind::kRecovery : SlotKind::kKeyFile;
}

Status check_secret(const UnlockSecret& secret) {
  const size_t size = secret.bytes.size();
  switch (secret.kind) {
    case SlotKind::kKeyFile:
      if (size < 32 || size > (1 << 20)) {
        return fail(Code::kInvalid, fmt::format("a key file holds 32 bytes to 1 MiB, this one has {} bytes", size));
      }
      break;
    case SlotKind::kPassphrase:
      if (size < 1 || size > 65536) return fail(Code::kInvalid, "a passphrase has 1 to 65,536 bytes");
      break;
    case SlotKind::kRecovery:
      if (normalize_recovery_key(secret.bytes.view()).size() != 32) {
        return fail(Code::kInvalid, "a recovery key has eight groups of four letters and digits");
      }
      break;
  }
  return {};
}
}  // namespace

std::string_view slot_kind_name(SlotKind kind) {
  switch (kind) {
    case SlotKind::kKeyFile:
      return "key-file";
    case SlotKind::kPassphrase:
      return "passphrase";
    case SlotKind::kRecovery:
      return "recovery";
  }
  return "unknown";
}

std::string_view secret_name(SlotKind kind) {
  switch (kind) {
    case SlotKind::kKeyFile:
      return "key file";
    case SlotKind::kPassphrase:
      return "passphrase";
    case SlotKind::kRecovery:
      return "recovery key";
  }
  return "secret";
}

struct Keyring::Parsed {
  uint64_t generation = 0;
  std::optional<Error> too_new;  // nothing but the generation was read
  uint32_t next_slot = 1;
  std::vector<Slot> slots;
  std::map<Scope, std::string> scopes;
  std::string authenticated;  // the text that the MAC covers
  std::string mac;
};

Keyring::Keyring(Env& env, std::string directory, std::string_view uuid)
    : env_(env), directory_(std::move(directory)), uuid_(uuid) {}

Result<Keyring::Parsed> Keyring::read_copy(Env& env, const std::string& path, std::string_view uuid) {
  PAILFS_ASSIGN(const std::string text, env.read_file(path, kMaxKeyringSize));
  Json json = parse_json(text);
  if (!json.is_object()) return fail(Code::kCorrupt, path + " is damaged: it is not JSON");
  try {
    Parsed parsed;
    if (const Json& format = json.at("format"); format.is_number_integer() && above(format, kKeyringFormat)) {
      const auto generation = json.find("generation");
      const bool known = generation != json.end() && generation->is_number_unsigned();
      parsed.generation = known ? generation->get<uint64_t>() : std::numeric_limits<uint64_t>::max();
      parsed.too_new =
          Error{Code::kTooNew,
                fmt::format("{} has format {}, and this pailfs ({}) reads formats up to {}: use a newer pailfs", path,
                            format.dump(), PAILFS_VERSION, kKeyringFormat)};
      return parsed;
    }
    const auto binary = [](const Json& field) {
      auto bytes = base64_decode(field.get<std::string>());
      return bytes ? *bytes : std::string();
    };
    parsed.mac = binary(json.at("mac"));
    json.erase("mac");
    parsed.authenticated = json.dump();
    if (binary(json.at("uuid")) != uuid) return fail(Code::kCorrupt, path + " belongs to another store");
    parsed.generation = json.at("generation").get<uint64_t>();
    parsed.next_slot = json.at("next_slot").get<uint32_t>();
    for (const Json& entry : json.at("slots")) {
      Slot slot;
      slot.info.id = entry.at("id").get<uint32_t>();
      slot.info.kind = kind_from_name(entry.at("kind").get<std::string>());
      slot.info.label = entry.at("label").get<std::string>();
      slot.info.created = entry.at("created").get<int64_t>();
      slot.salt = binary(entry.at("salt"));
      slot.wrapped = binary(entry.at("wrapped"));
      if (entry.contains("scrypt")) {
        const Json& cost = entry.at("scrypt");
        slot.cost = {cost.at("log_n").get<uint32_t>(), cost.at("r").get<uint32_t>(), cost.at("p").get<uint32_t>()};
      }
      parsed.slots.push_back(std::move(slot));
    }
    for (const Json& entry : json.at("scopes")) {
      parsed.scopes[entry.at("scope").get<Scope>()] = binary(entry.at("wrapped"));
    }
    return parsed;
  } catch (const Json::exception& e) {
    return fail(Code::kCorrupt, fmt::format("{} is damaged: {}", path, e.what()));
  }
}

Result<Secret> Keyring::slot_key(const Slot& slot, const UnlockSecret& secret) {
  switch (slot.info.kind) {
    case SlotKind::kKeyFile:
      return hkdf(secret.bytes.view(), slot.salt, "pailfs key-file slot");
    case SlotKind::kRecovery:
      return hkdf(normalize_recovery_key(secret.bytes.view()).view(), slot.salt, "pailfs recovery slot");
    case SlotKind::kPassphrase:
      return scrypt(secret.bytes.view(), slot.salt, slot.cost);
  }
  return fail(Code::kCorrupt, "unknown kind of unlock slot");
}

Secret Keyring::derive(std::string_view purpose) const {
  return hkdf(root_.view(), uuid_, fmt::format("pailfs {}", purpose));
}

std::string Keyring::wrap(const Secret& key, std::string_view aad, std::string_view plaintext) const {
  std::string out = env_.random_bytes(kNonceSize);
  Nonce nonce;
  std::copy_n(out.begin(), kNonceSize, nonce.begin());
  out.resize(kNonceSize + plaintext.size() + kTagSize);
  Aead(key).seal(nonce, aad, plaintext, std::span<char>(out).subspan(kNonceSize));
  return out;
}

Status Keyring::adopt(Parsed parsed, Secret root) {
  root_ = std::move(root);
  auto store_keys = std::make_shared<ScopeKeys>();
  store_keys->data = derive("store data");
  store_keys->names = derive("store names");
  store_keys_ = std::move(store_keys);

  const MutexLock lock(mutex_);
  generation_ = parsed.generation;
  next_slot_ = parsed.next_slot;
  slots_ = std::move(parsed.slots);
  wrapped_ = std::move(parsed.scopes);
  const Secret wrapping = derive("scope wrapping");
  for (const auto& [scope, wrapped] : wrapped_) {
    Secret both(2 * kKeySize);
    if (!unwrap(wrapping, scope_aad(uuid_, scope), wrapped, both)) {
      return fail(Code::kCorrupt,
                  fmt::format("the keyring of {}: the keys of bucket number {} do not verify", directory_, scope));
    }
    auto keys = std::make_shared<ScopeKeys>();
    keys->data = Secret(both.view().substr(0, kKeySize));
    keys->names = Secret(both.view().substr(kKeySize));
    keys_[scope] = std::move(keys);
  }
  return {};
}

const Keyring::Slot* Keyring::opened_by(const UnlockSecret& secret) const {
  for (const Slot& slot : slots_) {
    if (slot.info.kind != secret.kind) continue;
    const auto key = slot_key(slot, secret);
    Secret root(kKeySize);
    if (key && unwrap(*key, slot_aad(uuid_, slot.info.id), slot.wrapped, root)) return &slot;
  }
  return nullptr;
}

Result<Keyring::Slot> Keyring::make_slot(const UnlockSecret& secret, std::string label, const ScryptCost& cost,
                                         uint32_t id) {
  PAILFS_TRY(check_secret(secret));
  Slot slot;
  slot.info = {id, secret.kind, std::move(label), env_.now()};
  slot.salt = env_.random_bytes(32);
  slot.cost = cost;
  PAILFS_ASSIGN(const Secret key, slot_key(slot, secret));
  slot.wrapped = wrap(key, slot_aad(uuid_, id), root_.view());
  return slot;
}

Result<std::unique_ptr<Keyring>> Keyring::create(Env& env, std::string directory, std::string_view uuid,
                                                 const UnlockSecret& secret, std::string label,
                                                 const ScryptCost& cost) {
  std::unique_ptr<Keyring> keyring(new Keyring(env, std::move(directory), uuid));
  Secret root(kKeySize);
  env.random(root.span());
  PAILFS_TRY(keyring->adopt(Parsed{}, std::move(root)));
  PAILFS_ASSIGN(Slot slot, keyring->make_slot(secret, std::move(label), cost, 1));
  const MutexLock lock(keyring->mutex_);
  keyring->slots_.push_back(std::move(slot));
  keyring->next_slot_ = 2;
  PAILFS_TRY(keyring->save());
  return keyring;
}

// kWrongKey: no slot opens. kCorrupt: one does, and the copy does not verify; or the cost of a passphrase's is damaged.
Result<std::unique_ptr<Keyring>> Keyring::open_copy(Env& env, const std::string& directory, std::string_view uuid,
                                                    const UnlockSecret& secret, Parsed&& parsed) {
  Error failure{Code::kWrongKey, ""};
  for (const Slot& slot : parsed.slots) {
    if (slot.info.kind != secret.kind) continue;
    const auto key = slot_key(slot, secret);
    if (!key) {
      const bool damage = key.error().code == Code::kInvalid;
      failure = {damage ? Code::kCorrupt : key.error().code,
                 fmt::format("unlock slot {}: {}", slot.info.id, key.error().message)};
      continue;
    }
    Secret root(kKeySize);
    if (!unwrap(*key, slot_aad(uuid, slot.info.id), slot.wrapped, root)) continue;
    std::unique_ptr<Keyring> keyring(new Keyring(env, directory, uuid));
    const Secret mac_key = hkdf(root.view(), uuid, "pailfs keyring mac");
    if (!equal_secret(view(hmac_sha256(mac_key.view(), parsed.authenticated)), parsed.mac)) {
      return fail(Code::kCorrupt,
                  fmt::format("a copy of the keyring of {} does not verify: it was changed", directory));
    }
    PAILFS_TRY(keyring->adopt(std::move(parsed), std::move(root)));
    return keyring;
  }
  return std::unexpected(failure);
}

Result<std::unique_ptr<Keyring>> Keyring::unlock(Env& env, std::string directory, std::string_view uuid,
                                                 const UnlockSecret& secret, bool read_only) {
  PAILFS_TRY(check_secret(secret));
  std::vector<Result<Parsed>> copies;
  for (const int copy : {0, 1}) copies.push_back(read_copy(env, copy_path(directory, copy), uuid));
  if (copies[0] && copies[1] && copies[1]->generation > copies[0]->generation) std::swap(copies[0], copies[1]);
  const bool alike = copies[0] && copies[1] && copies[0]->authenticated == copies[1]->authenticated &&
                     copies[0]->mac == copies[1]->mac && !copies[0]->too_new && !copies[1]->too_new;
  std::string kinds;
  Error worst{Code::kWrongKey, ""};
  const Parsed* too_new = nullptr;
  for (auto& copy : copies) {
    if (!copy) {
      worst = copy.error();
      continue;
    }
    if (copy->too_new) {
      too_new = &*copy;
      continue;
    }
    for (const Slot& slot : copy->slots) {
      const std::string name(slot_kind_name(slot.info.kind));
      if (kinds.find(name) == std::string::npos) kinds += (kinds.empty() ? "" : ", ") + name;
    }
    const uint64_t generation = copy->generation;
    auto opened = open_copy(env, directory, uuid, secret, std::move(*copy));
    if (!opened) {
      if (opened.error().code != Code::kWrongKey) worst = opened.error();
      continue;
    }
    // Both copies are written with each generation: one that claims a newer format in the same one is damaged.
    if (too_new != nullptr && too_new->generation > generation) break;
    if (!alike)
      (*opened)->fault_ = "one of the two copies of the keyring (keyring.0, keyring.1) is missing, damaged or older";
    if (!alike && !read_only) (*opened)->mend();
    return opened;
  }
  if (too_new != nullptr) return std::unexpected(*too_new->too_new);
  if (kinds.empty() || worst.code == Code::kCorrupt || worst.code == Code::kNoMemory) {
    // A disk that fails to read is not damage.
    return fail(worst.code == Code::kNotFound ? Code::kCorrupt : worst.code,
                fmt::format("the keyring of {} cannot be read: {}", directory, worst.message));
  }
  return fail(Code::kWrongKey, fmt::format("the {} given does not open the store {} (it has slots of kind: {})",
                                           secret_name(secret.kind), directory, kinds));
}

void Keyring::mend() {
  log_warning("{}: one copy of the keyring was damaged or older; it is written anew from the good one", directory_);
  const MutexLock lock(mutex_);
  // One good copy is enough to go on with, on a full disk for instance.
  if (const Status saved = save(); !saved) {
    log_warning("{}: the keyring could not be written, and has one good copy only: {}", directory_,
                saved.error().message);
  }
}

std::string Keyring::text() const {
  const MutexLock lock(mutex_);
  return serialize();
}

Status Keyring::write_anew() {
  const MutexLock lock(mutex_);
  return save();
}

std::string Keyring::serialize() const {
  Json slots = Json::array();
  for (const Slot& slot : slots_) {
    Json entry = {{"id", slot.info.id},        {"kind", slot_kind_name(slot.info.kind)},
                  {"label", slot.info.label},  {"created", slot.info.created},
                  {"salt", base64(slot.salt)}, {"wrapped", base64(slot.wrapped)}};
    if (slot.info.kind == SlotKind::kPassphrase) {
      entry["scrypt"] = {{"log_n", slot.cost.log_n}, {"r", slot.cost.r}, {"p", slot.cost.p}};
    }
    slots.push_back(std::move(entry));
  }
  Json scopes = Json::array();
  for (const auto& [scope, wrapped] : wrapped_) scopes.push_back({{"scope", scope}, {"wrapped", base64(wrapped)}});
  Json json = {{"pailfs", "keyring"},        {"format", kKeyringFormat}, {"uuid", base64(uuid_)},
               {"generation", generation_},  {"next_slot", next_slot_},  {"slots", std::move(slots)},
               {"scopes", std::move(scopes)}};
  // The MAC covers the JSON text without it: compact, members in alphabetical order.
  const Secret mac_key = derive("keyring mac");
  json["mac"] = base64(view(hmac_sha256(mac_key.view(), json.dump())));
  return json.dump() + "\n";
}

Status Keyring::save() {
  ++generation_;
  const std::string text = serialize();
  for (const int copy : {0, 1}) PAILFS_TRY(env_.replace_file(copy_path(directory_, copy), text));
  return {};
}

std::vector<SlotInfo> Keyring::slots() const {
  const MutexLock lock(mutex_);
  std::vector<SlotInfo> out;
  out.reserve(slots_.size());
  for (const Slot& slot : slots_) out.push_back(slot.info);
  return out;
}

Result<uint32_t> Keyring::add_slot(const UnlockSecret& secret, std::string label, const ScryptCost& cost) {
  const MutexLock lock(mutex_);
  PAILFS_TRY(check_secret(secret));
  // Whoever removes one of two such slots believes that its secret opens the store no more.
  if (const Slot* const there = opened_by(secret)) {
    const std::string& name = there->info.label;
    return fail(Code::kExists, fmt::format("slot {}{} opens with this {} already: nothing was changed", there->info.id,
                                           name.empty() ? "" : fmt::format(" ({})", name), secret_name(secret.kind)));
  }
  const uint32_t id = next_slot_;
  PAILFS_ASSIGN(Slot slot, make_slot(secret, std::move(label), cost, id));
  slots_.push_back(std::move(slot));
  ++next_slot_;
  if (auto saved = save(); !saved) {
    slots_.pop_back();
    return std::unexpected(saved.error());
  }
  return id;
}

Status Keyring::remove_slot(uint32_t id) {
  const MutexLock lock(mutex_);
  const auto it = std::ranges::find_if(slots_, [id](const Slot& slot) { return slot.info.id == id; });
  if (it == slots_.end()) return fail(Code::kNotFound, fmt::format("there is no unlock slot {}", id));
  if (slots_.size() == 1) {
    return fail(Code::kInvalid,
                fmt::format("slot {} is the last one: without it nothing opens the store; add another slot "
                            "first ('pail key add')",
                            id));
  }
  Slot removed = std::move(*it);
  slots_.erase(it);
  if (auto saved = save(); !saved) {
    slots_.push_back(std::move(removed));
    return saved;
  }
  return {};
}

std::string Keyring::make_recovery_key(Env& env) {
  Secret bytes(32);
  env.random(bytes.span());
  std::string text;
  for (size_t i = 0; i < 32; ++i) {
    if (i > 0 && i % 4 == 0) text += '-';
    text += kCrockford[static_cast<unsigned char>(bytes.data()[i]) % 32];
  }
  return text;
}

Status Keyring::create_scope(Scope scope) {
  const MutexLock lock(mutex_);
  if (scope == kStoreScope || wrapped_.contains(scope)) {
    return fail(Code::kExists, fmt::format("bucket number {} has keys already", scope));
  }
  auto keys = std::make_shared<ScopeKeys>();
  Secret both(2 * kKeySize);
  env_.random(both.span());
  keys->data = Secret(both.view().substr(0, kKeySize));
  keys->names = Secret(both.view().substr(kKeySize));
  wrapped_[scope] = wrap(derive("scope wrapping"), scope_aad(uuid_, scope), both.view());
  if (auto saved = save(); !saved) {
    wrapped_.erase(scope);
    return saved;
  }
  keys_[scope] = std::move(keys);
  return {};
}

Status Keyring::destroy_scope(Scope scope) {
  const MutexLock lock(mutex_);
  wrapped_.erase(scope);
  keys_.erase(scope);
  return save();
}

std::vector<Scope> Keyring::scopes() const {
  const MutexLock lock(mutex_);
  std::vector<Scope> out;
  out.reserve(keys_.size());
  for (const auto& [scope, keys] : keys_) out.push_back(scope);
  return out;
}

std::shared_ptr<const ScopeKeys> Keyring::scope(Scope scope) const {
  if (scope == kStoreScope) return store_keys_;
  const MutexLock lock(mutex_);
  const auto it = keys_.find(scope);
  return it == keys_.end() ? nullptr : it->second;
}

}  // namespace pailfs
