// A small store whose files and index values are changed at will, and which is opened then. It may refuse, and what it
// shows may be missing or an error; but every line of what it shows (attributes, extended attributes, each piece of
// content) is one that it showed before, and what a reader comes upon the check finds too. LMDB's own pages are left
// out: its library may crash on them, which is why a verifier looks at them first.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "core/acl.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/memory_core.h"
#include "support/tree_dump.h"

namespace pailfs::test {
namespace {

constexpr size_t kMaxFile = size_t{1} << 20;

std::string pattern(std::string_view seed, size_t size) {
  std::string out;
  for (size_t i = 0; out.size() < size; ++i) out += fmt::format("{}:{};", seed, i);
  out.resize(size);
  return out;
}

// Lines of a dump, each with the path that it belongs to.
std::vector<std::string> lines_of(const std::string& dump) {
  std::vector<std::string> out;
  std::string path;
  for (size_t at = 0; at < dump.size();) {
    const size_t end = dump.find('\n', at);
    const std::string line = dump.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with("  ")) path = line.substr(0, line.find(": "));
    out.push_back(line.starts_with("  ") ? path + line : line);
  }
  return out;
}

bool is_error(const std::string& line) {
  return std::ranges::any_of(std::array{Code::kCorrupt, Code::kIo, Code::kNotFound},
                             [&](Code code) { return line.ends_with(fmt::format(": {}", code_name(code))); });
}

// What is in the store, and everything that it showed while it was made. The index holds the first part of it; the rest
// has to be replayed from the log.
class World {
 public:
  World() {
    MemoryCore made;
    Core& core = made.core();
    const Caller& root = made.root();
    const Ino bucket = made.bucket();
    make_names(made);
    made.write(bucket, "large", pattern("large", 150'000));
    const Ino small = made.write(bucket, "small", "first");
    made.write(bucket, "small", "second");
    note(made);
    FUZZ_CHECK(made.store().checkpoint());
    FUZZ_CHECK(core.setxattr(root, small, "user.note", pattern("note", 300), Core::XattrMode::kSet));
    copy(made, "large", "shared", 40'000);
    made.write(bucket, "gone", pattern("gone", 9'000));
    FUZZ_CHECK(core.unlink(root, bucket, "gone"));
    note(made);
    for (int i = 0; i < 3; ++i) {
      FUZZ_CHECK(made.store().checkpoint());
      FUZZ_CHECK(made.store().reclaim());
      FUZZ_CHECK(made.store().sync());
    }
    const std::vector<IndexChange> index = made.image().index;
    made.write(bucket, "large", pattern("larger", 70'000));
    note(made);
    FUZZ_CHECK(core.rename(root, bucket, "small", bucket, "renamed", RenameMode::kReplace));
    note(made);
    made.write(bucket, "late", pattern("late", 5'000));
    note(made);
    image = made.image();
    image.index = index;
  }

  StoreImage image;
  std::set<std::string> shown;
  std::string last;  // the dump of the whole

 private:
  static void make_names(MemoryCore& made) {
    Core& core = made.core();
    const auto directory = core.mkdir(made.root(), made.bucket(), "directory", 0750);
    FUZZ_CHECK(directory);
    made.write(directory->ino, "below", pattern("below", 6'000));
    FUZZ_CHECK(core.symlink(made.root(), made.bucket(), "link", "directory/below"));
    const Acl acl{{{AclTag::kUserObj, 7, 0},
                   {AclTag::kUser, 5, 1000},
                   {AclTag::kGroupObj, 5, 0},
                   {AclTag::kMask, 5, 0},
                   {AclTag::kOther, 0, 0}}};
    FUZZ_CHECK(core.setxattr(made.root(), directory->ino, kAccessAclName, format_acl(acl), Core::XattrMode::kSet));
  }

  static void copy(MemoryCore& made, std::string_view from, std::string_view to, uint64_t length) {
    Core& core = made.core();
    const Ino target = made.write(made.bucket(), to, "x");
    const auto source = core.lookup(made.root(), made.bucket(), from);
    FUZZ_CHECK(source);
    const auto reading = core.open(made.root(), source->ino, {.read = true});
    const auto writing = core.open(made.root(), target, {.write = true});
    FUZZ_CHECK(reading && writing);
    FUZZ_CHECK(core.copy_range({source->ino, reading->handle, 0}, {target, writing->handle, 0}, length));
    FUZZ_CHECK(core.flush(target, writing->handle));
    core.release(target, writing->handle);
    core.release(source->ino, reading->handle);
    core.forget(source->ino, 1);
  }

  // What a start from here would show.
  void note(MemoryCore& made) {
    FUZZ_CHECK(made.store().sync());
    last = dump_tree(made.core());
    for (std::string& line : lines_of(last)) shown.insert(std::move(line));
  }
};

const World& world() {
  static const World* const made = new World;
  return *made;
}

// The changes that an input wants.
class Damage {
 public:
  Damage(StoreImage& image, Decoder& in) : image_(image), in_(in) {}

  void run() {
    for (int i = 0; i < 12 && in_.remaining() > 0; ++i) one();
  }

 private:
  std::vector<std::string> files() {
    std::vector<std::string> out{"/s/keyring.0", "/s/keyring.1"};
    for (const std::string& name : image_.env->list_dir("/s/log").value_or(std::vector<std::string>())) {
      out.push_back("/s/log/" + name);
    }
    return out;
  }
  std::string any_file() {
    const auto all = files();
    return all[in_.u8() % all.size()];
  }
  std::string bytes_of(const std::string& path) { return image_.env->read_file(path, kMaxFile).value_or(""); }
  void put(const std::string& path, const std::string& bytes) { (void)image_.env->replace_file(path, bytes); }

  void one() {
    switch (in_.u8() % 9) {
      case 0:
        return flip();
      case 1:
        return overwrite();
      case 2:
        return move_block();
      case 3:
        return cut();
      case 4:
        return rename();
      case 5:
        (void)image_.env->remove(any_file());
        return;
      case 6:
        return flip_value();
      case 7:
        return exchange_values();
      default: {
        const std::string path = any_file();
        put(path, bytes_of(path) + std::string(in_.bytes().substr(0, 4096)));
      }
    }
  }

  void flip() {
    const std::string path = any_file();
    std::string bytes = bytes_of(path);
    if (bytes.empty()) return;
    char& byte = bytes[in_.u32() % bytes.size()];
    byte = static_cast<char>(byte ^ static_cast<char>(in_.u8() | 1));
    put(path, bytes);
  }
  void overwrite() {
    const std::string path = any_file();
    std::string bytes = bytes_of(path);
    const size_t offset = in_.u32() % (bytes.size() + 1);
    const std::string_view with = in_.bytes().substr(0, 4096);
    bytes.replace(offset, std::min(with.size(), bytes.size() - offset), with);
    put(path, bytes);
  }
  // A unit, or any other piece, of this or another file in the place of one.
  void move_block() {
    const std::string source = bytes_of(any_file());
    const std::string path = any_file();
    std::string bytes = bytes_of(path);
    if (source.empty() || bytes.empty()) return;
    const size_t from = in_.u32() % source.size(), to = in_.u32() % bytes.size();
    const size_t length = std::min({size_t{in_.u16()} + 1, source.size() - from, bytes.size() - to});
    bytes.replace(to, length, source, from, length);
    put(path, bytes);
  }
  void cut() {
    const std::string path = any_file();
    const std::string bytes = bytes_of(path);
    put(path, bytes.substr(0, in_.u32() % (bytes.size() + 1)));
  }
  // Also in the place of another one.
  void rename() {
    const std::string from = any_file();
    const std::string to = (in_.u8() & 1) != 0 ? any_file() : fmt::format("/s/log/{:016x}.seg", in_.u8());
    if (from != to) (void)image_.env->rename(from, to);
  }
  IndexChange& any_value() { return image_.index[in_.u16() % image_.index.size()]; }
  void flip_value() {
    std::string& value = *any_value().value;
    const size_t at = in_.u16();
    if (value.empty()) return;
    char& byte = value[at % value.size()];
    byte = static_cast<char>(byte ^ static_cast<char>(in_.u8() | 1));
  }
  void exchange_values() {
    IndexChange& one = any_value();
    any_value().value.swap(one.value);
  }

  StoreImage& image_;
  Decoder& in_;
};

void run(std::string_view input) {
  Decoder in(input);
  StoreImage image(world().image);
  Damage(image, in).run();
  auto opened = MemoryCore::open(std::move(image));
  if (!opened) {
    FUZZ_CHECK(!opened.error().message.empty());
    FUZZ_CHECK(!input.empty(), opened.error().message);
    return;
  }
  MemoryCore& core = **opened;
  const std::string dump = dump_tree(core.core());
  if (input.empty()) FUZZ_CHECK(dump == world().last, dump);
  bool wrong = false;
  for (const std::string& line : lines_of(dump)) {
    if (world().shown.contains(line)) continue;
    FUZZ_CHECK(is_error(line), line);
    wrong = true;
  }
  const auto checked = core.core().check(true, nullptr);
  if (wrong && checked) FUZZ_CHECK(checked->problem_count > 0, dump);
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  pailfs::test::run(pailfs::test::input_of(data, size));
  return 0;
}
