// The keyring's file. The first byte says what is done with the text that follows: whether it stands in one copy or in
// both, whether it gets a right MAC first (what is behind the MAC must not crash either, as a newer or a broken pailfs
// may have written it), and with which secret it is opened. Whatever stands in one copy, the other one opens the store.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "fuzz/support/fuzz.h"
#include "io/memory_env.h"
#include "store/json.h"
#include "store/keyring.h"

namespace pailfs::test {
namespace {

constexpr uint8_t kBoth = 1, kSecondCopy = 2, kSealed = 4, kPassphrase = 8, kReadOnly = 16;

const std::string kUuid = "0123456789abcdef";
const ScryptCost kCheap{.log_n = 10, .r = 1, .p = 1};

UnlockSecret key_file() { return {SlotKind::kKeyFile, Secret("0123456789abcdef0123456789abcdef")}; }
UnlockSecret passphrase() { return {SlotKind::kPassphrase, Secret("correct horse")}; }

std::string copy(int number) { return "/s/keyring." + std::to_string(number); }

// A keyring with a slot of each kind that is fast enough and a bucket, always the same.
struct World {
  World() {
    FUZZ_CHECK(env.make_dir("/s"));
    auto made = Keyring::create(env, "/s", kUuid, key_file(), "first", kCheap);
    FUZZ_CHECK(made);
    keyring = std::move(*made);
    FUZZ_CHECK(keyring->add_slot(passphrase(), "second", kCheap));
    FUZZ_CHECK(keyring->create_scope(1));
    text = env.read_file(copy(0), 1 << 20).value_or("");
    mac_key = keyring->derive("keyring mac");
  }
  MemoryEnv env{1};
  std::unique_ptr<Keyring> keyring;
  std::string text;
  Secret mac_key;
};

const World& world() {
  static const World* const made = new World;
  return *made;
}

// With the MAC that the text should have, where it is an object.
std::string sealed(std::string_view text) {
  auto json = parse_json(text);
  if (!json.is_object()) return std::string(text);
  json.erase("mac");
  json["mac"] = base64(view(hmac_sha256(world().mac_key.view(), json.dump())));
  return json.dump() + "\n";
}

// A passphrase's cost is what the file says, up to minutes and gigabytes: no test of what is read here.
bool is_costly(std::string_view text) {
  const auto json = parse_json(text);
  if (!json.is_object() || !json.contains("slots")) return false;
  for (const auto& slot : json["slots"]) {
    if (!slot.is_object() || !slot.contains("scrypt") || !slot["scrypt"].is_object()) continue;
    const auto& cost = slot["scrypt"];
    const auto beyond = [&](const char* name, uint64_t limit) {
      return !cost.contains(name) || !cost[name].is_number() || cost[name] > limit;
    };
    if (beyond("log_n", 10) || beyond("r", 2) || beyond("p", 2)) return true;
  }
  return false;
}

void expect_the_same(const Keyring& got) {
  FUZZ_CHECK(got.scopes() == world().keyring->scopes());
  FUZZ_CHECK(got.slots().size() == world().keyring->slots().size());
  FUZZ_CHECK(got.scope(1)->data.view() == world().keyring->scope(1)->data.view());
  FUZZ_CHECK(got.scope(1)->names.view() == world().keyring->scope(1)->names.view());
  FUZZ_CHECK(got.derive("x").view() == world().keyring->derive("x").view());
}

// Whatever else it holds, a keyring that verifies can be changed and opened again.
void expect_usable(Keyring& keyring, Env& env, const UnlockSecret& secret) {
  const Scope scope = 77;
  const bool had = keyring.scope(scope) != nullptr;
  const Status made = keyring.create_scope(scope);
  FUZZ_CHECK(made || had);
  const auto again = Keyring::unlock(env, "/s", kUuid, secret);
  FUZZ_CHECK(again, again ? "" : again.error().message);
  FUZZ_CHECK((*again)->scopes() == keyring.scopes());
  FUZZ_CHECK((*again)->slots().size() == keyring.slots().size());
}

void run(uint8_t mode, std::string_view input) {
  if ((mode & kPassphrase) != 0 && is_costly(input)) return;
  const std::string text = (mode & kSealed) != 0 ? sealed(input) : std::string(input);
  const bool both = (mode & kBoth) != 0;
  const int number = (mode & kSecondCopy) != 0 ? 1 : 0;
  MemoryEnv env(2);
  FUZZ_CHECK(env.make_dir("/s"));
  FUZZ_CHECK(env.replace_file(copy(number), text));
  FUZZ_CHECK(env.replace_file(copy(1 - number), both ? text : world().text));
  const UnlockSecret secret = (mode & kPassphrase) != 0 ? passphrase() : key_file();
  const bool read_only = (mode & kReadOnly) != 0;
  const auto unlocked = Keyring::unlock(env, "/s", kUuid, secret, read_only);
  if (!unlocked) {
    FUZZ_CHECK(!unlocked.error().message.empty());
    FUZZ_CHECK(both || (mode & kSealed) != 0 || unlocked.error().code == Code::kTooNew, unlocked.error().message);
    return;
  }
  if ((mode & kSealed) == 0) expect_the_same(**unlocked);
  if (!read_only) expect_usable(**unlocked, env, secret);
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) pailfs::test::run(data[0], pailfs::test::input_of(data + 1, size - 1));
  return 0;
}
