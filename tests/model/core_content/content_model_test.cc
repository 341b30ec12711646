// Random changes to a file, compared with a plain string, and every version that was sealed with the copy taken then;
// ranges are copied within it, from its versions, and from and to another file. At the end everything is removed, in
// random order, and what was appended must have been released exactly once. PAILFS_MODEL_SEED makes other runs.
#include <linux/falloc.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "support/figures.h"
#include "support/sanitizers.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

// Where in the file the changes fall, and how large they are.
struct Shape {
  uint64_t span;      // bytes
  bool small_writes;  // so many extents in one chunk that they are coalesced
  int steps;
};
constexpr Shape kWide{1'700'000, false, 600};  // three chunks and a part
constexpr Shape kDense{640'000, true, 4000};
constexpr Time kSecond = 1'000'000'000;

class ContentModel {
 public:
  ContentModel(Versioning versioning, const Shape& shape, uint32_t seed)
      : f_(versioning), versioning_(versioning), shape_(shape), random_(seed) {
    file_ = f_.create("file");
    other_ = f_.create("other");
    changed_ = true;
  }

  void run() {
    for (int i = 0; i < shape_.steps / kSlowdown && !testing::Test::HasFailure(); ++i) {
      step();
      if (i % 50 == 0) verify_everything();
    }
    verify_everything();
  }

  void take_apart() {
    f_.close(file_);
    f_.close(other_);
    after_close();
    EXPECT_TRUE(f_.content(file_.ino) == bytes_);
    EXPECT_TRUE(f_.content(other_.ino) == other_bytes_);
    for (const auto& [name, copy] : copies_) verify_version(name, copy);
    f_.expect_sound();
    EXPECT_OK(f_.core->unlink(f_.root, f_.bucket, "file"));
    f_.core->forget(file_.ino, 1);
    const bool other_first = below(2) == 0;
    if (other_first) remove_other();
    while (!testing::Test::HasFailure()) {
      const auto left = versions_left("file");
      if (left.empty()) break;
      const std::string name = left[below(left.size())].name;
      EXPECT_OK(f_.core->unlink(f_.root, f_.versions_of({"file"}), name));
      copies_.erase(name);
      for (const auto& [kept, copy] : copies_) verify_version(kept, copy);
      EXPECT_TRUE(other_first || f_.content(other_.ino) == other_bytes_);
    }
    if (!other_first) remove_other();
    f_.expect_all_released();
    f_.expect_sound();
  }

 private:
  std::vector<VersionEntry> versions_left(const std::string& name) {
    auto left = f_.versions(name);
    std::erase_if(left, [](const VersionEntry& entry) { return entry.marker; });
    return left;
  }

  void remove_other() {
    EXPECT_OK(f_.core->unlink(f_.root, f_.bucket, "other"));
    f_.core->forget(other_.ino, 1);
    for (const VersionEntry& version : versions_left("other")) {
      EXPECT_OK(f_.core->unlink(f_.root, f_.versions_of({"other"}), version.name));
    }
  }

  uint64_t below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random_); }

  uint64_t some_length() {
    if (shape_.small_writes && below(20) != 0) return 1 + below(3000);
    switch (below(6)) {
      case 0:
        return 1 + below(shape_.span / 2);
      case 1:
        return 1 + below(70'000);
      case 2:
        return 4096 * (1 + below(8));
      default:
        return 1 + below(9000);
    }
  }
  uint64_t some_offset() {
    if (below(3) == 0) return below(shape_.span) / 4096 * 4096;
    if (below(4) == 0) return below(20'000);
    return below(shape_.span);
  }

  // A change on this handle replaces the version that it sealed in the last minute.
  void change() {
    if (!provisional_.empty() && f_.env.now() - sealed_at_ < 60 * kSecond) copies_.erase(provisional_);
    provisional_.clear();
    if (versioning_ != Versioning::kEnabled) copies_.clear();  // the null version is changed in place
    changed_ = true;
  }

  void write() {
    const uint64_t offset = some_offset();
    std::string data(std::min(some_length(), shape_.span - offset), '\0');
    for (size_t i = 0; i < data.size(); i += 97) data[i] = static_cast<char>(random_());
    change();
    f_.write(file_, offset, data);
    show(bytes_, offset, data);
  }

  void write_other() {
    const uint64_t offset = some_offset();
    std::string data(std::min(some_length(), shape_.span - offset), '\0');
    for (size_t i = 0; i < data.size(); i += 89) data[i] = static_cast<char>(random_());
    f_.write(other_, offset, data);
    show(other_bytes_, offset, data);
  }

  void reopen_other(bool truncate) {
    f_.close(other_);
    other_ = f_.open_file(other_.ino, {.read = true, .write = true, .truncate = truncate});
    if (truncate) other_bytes_.clear();
  }

  static void show(std::string& bytes, uint64_t offset, const std::string& data) {
    if (data.empty()) return;
    if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
    bytes.replace(offset, data.size(), data);
  }

  // What two files have at the same place in a chunk is shared as it is; else units are shared askew, or not at all.
  void copy_range() {
    const bool to_file = below(2) == 0;
    const uint64_t whence = below(3);
    ContentFixture::OpenFile from = to_file == (whence == 0) ? file_ : other_;
    std::string bytes = to_file == (whence == 0) ? bytes_ : other_bytes_;
    Ino version = 0;
    if (whence == 2 && !copies_.empty()) {
      const auto chosen = std::next(copies_.begin(), static_cast<ptrdiff_t>(below(copies_.size())));
      version = f_.lookup(f_.versions_of({"file"}), chosen->first);
      from = f_.open_file(version, {.read = true});
      bytes = chosen->second;
    }
    const uint64_t offset = some_offset();
    const uint64_t at = below(2) == 0 ? offset : some_offset();
    const uint64_t length = std::min(below(2) == 0 ? 300'000 + some_length() : some_length(), shape_.span - at);
    const bool apart = offset + length <= at || at + length <= offset;
    if (from.ino != (to_file ? file_ : other_).ino || apart) {
      const std::string data = offset < bytes.size() ? bytes.substr(offset, length) : std::string();
      if (to_file && !data.empty()) change();
      // A file that is copied into itself grows, and a version that is changed in place as well: who asked for what is
      // behind the end would get some of that.
      const bool grows = from.ino == (to_file ? file_ : other_).ino || (version != 0 && to_file);
      const uint64_t asked = grows ? data.size() : length;
      EXPECT_EQ(f_.copy(from, offset, to_file ? file_ : other_, at, asked), data.size());
      show(to_file ? bytes_ : other_bytes_, at, data);
    }
    if (version != 0) {
      f_.core->release(version, from.handle);
      f_.core->forget(version, 1);
    }
  }

  void resize(uint64_t size) {
    if (size == bytes_.size()) return;
    change();
    AttributeChange wanted;
    wanted.size = size;
    wanted.handle = file_.handle;
    EXPECT_OK(f_.core->setattr(f_.root, file_.ino, wanted));
    bytes_.resize(size);
  }

  void make_hole() {
    const uint64_t offset = some_offset();
    const uint64_t length = some_length();
    const bool grows = below(2) == 0;
    const int mode = grows ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (offset < bytes_.size() || grows) change();
    EXPECT_OK(f_.core->fallocate(file_.ino, file_.handle, mode, offset, length));
    if (grows && offset + length > bytes_.size()) bytes_.resize(offset + length);
    for (uint64_t at = offset; at < std::min<uint64_t>(offset + length, bytes_.size()); ++at) bytes_[at] = '\0';
  }

  void after_close() {
    provisional_.clear();
    if (!changed_) return;
    changed_ = false;
    const auto listed = f_.versions("file");
    ASSERT_FALSE(listed.empty());
    EXPECT_TRUE(listed[0].current);
    EXPECT_EQ(listed[0].size, bytes_.size());
    copies_[listed[0].name] = bytes_;
  }

  void flush() {
    if (!changed_) return;
    EXPECT_OK(f_.core->flush(file_.ino, file_.handle));
    after_close();
    if (testing::Test::HasFatalFailure()) return;
    provisional_ = f_.versions("file")[0].name;
    sealed_at_ = f_.env.now();
  }

  void reopen(bool truncate) {
    f_.close(file_);
    after_close();
    if (truncate) change();
    file_ = f_.open_file(file_.ino, {.read = true, .write = true, .truncate = truncate});
    if (truncate) bytes_.clear();
  }

  void remove_a_version() {
    const auto listed = f_.versions("file");
    if (listed.empty()) return;
    // Also the one just below content that is not sealed yet.
    const VersionEntry& victim = listed[below(2) == 0 ? 0 : below(listed.size())];
    if (victim.current || !copies_.contains(victim.name)) return;
    EXPECT_OK(f_.core->unlink(f_.root, f_.versions_of({"file"}), victim.name));
    copies_.erase(victim.name);
  }

  void step() {
    f_.env.advance(1000);
    // Lists grow long only where little is cut off again.
    switch (shape_.small_writes && below(20) != 0 ? 49 : below(50)) {
      case 0:
        return resize(below(5) == 0 ? 0 : below(shape_.span));
      case 1:
        return resize(below(std::max<uint64_t>(bytes_.size(), 1)));
      case 2:
      case 3:
        return make_hole();
      case 4:
        return reopen(below(3) == 0);
      case 5:
        return reopen(false);
      case 6:
        return flush();
      case 7:
        return f_.env.advance(static_cast<Time>(below(2)) * 61 * kSecond);
      case 8:
        return remove_a_version();
      case 9:
        return verify_holes();
      case 10:
      case 11:
        return verify_range(some_offset(), some_length());
      case 12:
        return reopen_other(below(3) == 0);
      case 13:
      case 14:
      case 15:
        return write_other();
      case 16:
      case 17:
      case 18:
      case 19:
      case 20:
        return copy_range();
      default:
        return write();
    }
  }

  void verify_range(uint64_t offset, uint64_t length) {
    const std::string expected = offset < bytes_.size() ? bytes_.substr(offset, length) : std::string();
    ASSERT_TRUE(f_.read(file_, offset, length) == expected) << "[" << offset << ", +" << length << ")";
  }

  void verify_holes() {
    for (uint64_t at = 0; at < bytes_.size();) {
      const auto hole = f_.core->seek(file_.ino, at, false);
      ASSERT_TRUE(hole);
      ASSERT_LE(*hole, bytes_.size());
      const auto data = f_.core->seek(file_.ino, *hole < bytes_.size() ? *hole : at, true);
      if (*hole == bytes_.size()) break;
      const uint64_t end = data ? *data : bytes_.size();
      ASSERT_TRUE(data || data.error().code == Code::kNoDevice);
      ASSERT_GT(end, *hole);
      ASSERT_EQ(bytes_.find_first_not_of('\0', *hole) < end, false) << "data in the hole at " << *hole;
      at = end;
    }
  }

  void verify_version(const std::string& name, const std::string& copy) {
    const Ino ino = f_.lookup(f_.versions_of({"file"}), name);
    ASSERT_TRUE(f_.content(ino) == copy) << "version " << name;
    f_.core->forget(ino, 1);
  }

  void verify_everything() {
    verify_range(0, shape_.span + 1);
    ASSERT_TRUE(f_.read(other_, 0, shape_.span + 1) == other_bytes_);
    for (const auto& [name, copy] : copies_) verify_version(name, copy);
    const auto attributes = f_.core->getattr(f_.root, file_.ino);
    ASSERT_TRUE(attributes);
    ASSERT_EQ(attributes->size, bytes_.size());
  }

  ContentFixture f_;
  const Versioning versioning_;
  const Shape shape_;
  std::mt19937 random_;
  ContentFixture::OpenFile file_;
  std::string bytes_;
  ContentFixture::OpenFile other_;
  std::string other_bytes_;
  bool changed_ = false;
  std::string provisional_;
  Time sealed_at_ = 0;
  std::map<std::string, std::string> copies_;  // version name -> content
};

using Parameters = std::tuple<Versioning, Shape, uint32_t>;
class ContentModelTest : public testing::TestWithParam<Parameters> {};

TEST_P(ContentModelTest, TheFileAndEveryVersionHoldWhatWasWrittenAndRemovalReleasesAll) {
  const auto& [versioning, shape, seed] = GetParam();
  ContentModel model(versioning, shape, seed);
  model.run();
  if (!HasFailure()) model.take_apart();
  const auto steps = static_cast<uint64_t>(shape.steps / kSlowdown);
  print_figures("A", "content and versions against a reference", {{"operations", steps}, {"seeds", 1}});
}

uint32_t first_seed() {
  const char* given = std::getenv("PAILFS_MODEL_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : 1;
}

std::string parameter_name(const testing::TestParamInfo<Parameters>& info) {
  const auto& [versioning, shape, seed] = info.param;
  return std::string(versioning_name(versioning)) + (shape.small_writes ? "_dense_" : "_wide_") + std::to_string(seed);
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, ContentModelTest,
    testing::Combine(testing::Values(Versioning::kOff, Versioning::kEnabled, Versioning::kSuspended),
                     testing::Values(kWide, kDense), testing::Range(first_seed(), first_seed() + 5)),
    parameter_name);

}  // namespace
}  // namespace pailfs::test
