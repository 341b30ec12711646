// The files of a store that are read without its index: the index's copy, the superblock, and a backup's marker. The
// first byte says which. Damaged files of a copy lead to a state that a checkpoint had, or are refused; sealed with the
// right key, as no attacker can, they may hold anything and still crash nothing.
#include <fmt/format.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/support/fuzz.h"
#include "index/memory_index.h"
#include "io/memory_env.h"
#include "store/index_copy.h"
#include "store/superblock.h"

namespace pailfs::test {
namespace {

const std::string kUuid = "0123456789abcdef";
const std::string kDirectory = "/s/index-copy";
using State = std::map<std::string, std::string>;

UnlockSecret key_file() { return {SlotKind::kKeyFile, Secret("0123456789abcdef0123456789abcdef")}; }

void change(State& state, const std::vector<IndexChange>& changes) {
  for (const IndexChange& change : changes) {
    if (change.value) {
      state[change.key] = *change.value;
    } else {
      state.erase(change.key);
    }
  }
}

// A copy with a base and journals of two runs, and the state after every checkpoint.
struct World {
  World() {
    FUZZ_CHECK(env.make_dir("/s"));
    keyring = std::move(*Keyring::create(env, "/s", kUuid, key_file(), "first", {.log_n = 10, .r = 1, .p = 1}));
    states.emplace_back();
    run(true, false);
    run(false, true);
    run(false, false);
    for (const std::string& name : env.list_dir(kDirectory).value_or(std::vector<std::string>())) {
      files[name] = env.read_file(kDirectory + "/" + name, 1 << 20).value_or("");
    }
    FUZZ_CHECK(files.size() == 3);
  }

  void run(bool empty, bool base) {
    IndexCopy copy(env, kDirectory, *keyring, kUuid);
    copy.begin(true, empty);
    for (int i = 0; i < 3; ++i) {
      const uint64_t n = states.size();
      std::vector<IndexChange> changes;
      changes.push_back({"key " + std::to_string(n), "value " + std::to_string(n)});
      changes.push_back({"changing", std::to_string(n)});
      if (n > 2) changes.push_back({"key " + std::to_string(n - 2), std::nullopt});
      FUZZ_CHECK(index->apply(changes));
      copy.add(changes);
      copy.end_checkpoint(n - 1, n);
      State state = states.back();
      change(state, changes);
      states.push_back(state);
    }
    Mutex checkpoints;
    const std::atomic<bool> stop = false;
    if (base) FUZZ_CHECK(copy.write_base(*index, checkpoints, [&] { return states.size() - 1; }, stop));
  }

  MemoryEnv env{1};
  std::unique_ptr<Index> index = make_memory_index();
  std::unique_ptr<Keyring> keyring;
  std::vector<State> states;  // by sequence number
  std::map<std::string, std::string> files;
};

World& world() {
  static World* const made = new World;
  return *made;
}

// What the files lead to; nothing where they are refused.
std::optional<std::pair<State, uint64_t>> replay(const std::map<std::string, std::string>& files) {
  MemoryEnv env(2);
  FUZZ_CHECK(env.make_dir("/s"));
  FUZZ_CHECK(env.make_dir(kDirectory));
  for (const auto& [name, bytes] : files) FUZZ_CHECK(env.replace_file(kDirectory + "/" + name, bytes));
  const IndexCopy copy(env, kDirectory, *world().keyring, kUuid);
  State state;
  const auto found = copy.replay(
      [&](const std::vector<IndexChange>& changes) {
        change(state, changes);
        return Status{};
      },
      [](uint64_t, uint64_t) { return Status{}; });
  if (found) return std::pair(state, found->last_seq);
  FUZZ_CHECK(found.error().code == Code::kCorrupt || found.error().code == Code::kNotFound, found.error().message);
  return std::nullopt;
}

// Bytes of files changed, cut, appended; files removed, exchanged, or there under another name.
void damage(std::map<std::string, std::string>& files, Decoder& in) {
  for (int i = 0; i < 16 && in.remaining() > 0 && !files.empty(); ++i) {
    auto at = files.begin();
    std::advance(at, in.u8() % files.size());
    std::string& bytes = at->second;
    switch (in.u8() % 6) {
      case 0:
        bytes.resize(in.varint() % (bytes.size() + 1));
        break;
      case 1:
        bytes.append(in.bytes().substr(0, 4096));
        break;
      case 2:
        files.erase(at);
        break;
      case 3:
        bytes.swap(std::next(files.begin(), in.u8() % static_cast<int>(files.size()))->second);
        break;
      case 4: {
        const std::string name(in.bytes());
        if (name.empty() || name.size() > 60 || name == "." || name == ".." || name.find('/') != name.npos ||
            name.find('\0') != name.npos)
          break;
        const std::string copied = bytes;
        files[name] = copied;
        break;
      }
      default: {
        const size_t offset = in.varint() % (bytes.size() + 1);
        const std::string_view with = in.bytes().substr(0, 4096);
        bytes.replace(offset, std::min(with.size(), bytes.size() - offset), with);
      }
    }
  }
}

void damaged_copy(Decoder& in) {
  std::map<std::string, std::string> files = world().files;
  damage(files, in);
  const auto got = replay(files);
  if (!got) return;
  FUZZ_CHECK(got->second < world().states.size());
  FUZZ_CHECK(got->first == world().states[got->second]);
}

std::string seal_block(const Aead& cipher, uint64_t number, std::string_view aad, std::string_view payload) {
  Nonce nonce{};
  for (size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<char>(number >> (8 * i));
  Encoder out;
  out.u32(static_cast<uint32_t>(payload.size() + kTagSize));
  std::string sealed(payload.size() + kTagSize, '\0');
  cipher.seal(nonce, aad, payload, sealed);
  out.raw(sealed);
  return out.take();
}

// Files of blocks that verify and hold what the input says.
void sealed_copy(Decoder& in) {
  std::map<std::string, std::string> files;
  const Secret key = world().keyring->derive("index copy");
  for (int i = 0; i < 4 && in.remaining() > 0; ++i) {
    const bool base = (in.u8() & 1) != 0;
    const uint64_t generation = in.u8(), part = base ? 0 : in.u8();
    Encoder header;
    header.raw("PAILCOPY");
    header.u8(1);
    header.u8(base ? 'b' : 'j');
    header.raw(std::string_view("\0\0\0\0\0\0", 6));
    header.u64(generation);
    header.u64(part);
    header.raw(std::string(32, 's'));
    std::string bytes = header.take();
    const std::string aad = bytes + kUuid;
    const Aead cipher(hkdf(key.view(), std::string(32, 's'), "pailfs index copy"));
    for (uint64_t n = in.u8() % 8, number = 0; n > 0; --n) {
      const std::string_view payload = in.bytes();
      if (!payload.empty()) bytes += seal_block(cipher, number++, aad, payload);
    }
    files[base ? fmt::format("base-{:016x}", generation) : fmt::format("journal-{:016x}-{:08x}", generation, part)] =
        bytes;
  }
  (void)replay(files);
}

// What is read is what is written, and read again.
void superblock(std::string_view text) {
  MemoryEnv env(2);
  FUZZ_CHECK(env.make_dir("/s"));
  FUZZ_CHECK(env.make_dir("/t"));
  FUZZ_CHECK(env.replace_file("/s/pailfs.store", text));
  const auto store = read_superblock(env, "/s");
  const auto backup = read_backup_marker(env, "/s");
  FUZZ_CHECK(!store || !backup);
  if (store) {
    FUZZ_CHECK(write_superblock(env, "/t", *store));
    const auto again = read_superblock(env, "/t");
    FUZZ_CHECK(again && again->uuid == store->uuid && again->created == store->created);
    FUZZ_CHECK(uuid_bytes(store->uuid).value_or("").size() == 16);
  }
  if (backup) {
    FUZZ_CHECK(write_backup_marker(env, "/t", *backup));
    const auto again = read_backup_marker(env, "/t");
    FUZZ_CHECK(again && again->uuid == backup->uuid && again->taken == backup->taken);
  }
}

void run(uint8_t what, std::string_view input) {
  Decoder in(input);
  switch (what % 3) {
    case 0:
      return damaged_copy(in);
    case 1:
      return sealed_copy(in);
    default:
      return superblock(input);
  }
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) pailfs::test::run(data[0], pailfs::test::input_of(data + 1, size - 1));
  return 0;
}
