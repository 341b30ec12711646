// Pieces of small stores in the wrong place or at the wrong time: files cut off, missing, twice there and exchanged,
// units of content moved, files and blocks as they were earlier. What a commit runs is a sample, as with the flips.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/logging.h"
#include "fault/flips/sweep.h"
#include "log/format.h"

namespace pailfs::test {
namespace {

constexpr uint64_t kBlock = 4096;

Status put(Env& env, const std::string& path, uint64_t offset, std::string_view bytes) {
  PAILFS_ASSIGN(const auto file, env.open(path, OpenMode::kReadWrite));
  return file->write_at(offset, bytes);
}

Status cut(Env& env, const std::string& path, uint64_t size) {
  PAILFS_ASSIGN(const auto file, env.open(path, OpenMode::kReadWrite));
  return file->truncate(size);
}

// The file as a whole, whether it is there or not.
Status replace(Env& env, const std::string& path, std::string_view bytes) {
  PAILFS_ASSIGN(const bool there, env.exists(path));
  if (there) PAILFS_TRY(env.remove(path));
  PAILFS_ASSIGN(const auto file, env.open(path, OpenMode::kCreate));
  return file->write_at(0, bytes);
}

bool is_kept(const StoreFile& file) { return file.name != "lock" && file.name != "reserve" && !file.bytes.empty(); }
bool is_segment(const StoreFile& file) { return file.name.starts_with("log/"); }

// Where the last record of a segment begins, and its bytes end.
ByteRange last_record(const StoreFile& file) {
  const uint64_t segment = std::stoull(file.name.substr(4), nullptr, 16);
  ByteRange last{file.bytes.size(), file.bytes.size()};
  for (uint64_t at = kSegmentHeaderSize; at + kRecordHeaderSize <= file.bytes.size(); ++at) {
    const auto record = decode_record_header(std::string_view(file.bytes).substr(at), {segment, at});
    if (record) last = {at, std::min<uint64_t>(at + kRecordHeaderSize + record->length, file.bytes.size())};
  }
  return last;
}

class Moves {
 public:
  explicit Moves(const Specimen& specimen) : specimen_(specimen) {
    for (const StoreFile& file : specimen.files) {
      if (is_kept(file)) cuts(file);
    }
    whole_files();
    units();
    for (size_t moment = 0; moment < specimen.earlier.size(); ++moment) earlier(moment);
  }
  const std::vector<Damage>& all() const { return damages_; }

 private:
  using Inflict = std::function<Status(Env&, const std::string&)>;
  void add(const std::string& file, ByteRange bytes, std::string what, Inflict inflict, bool replayed = false) {
    damages_.push_back({.file = file,
                        .bytes = bytes,
                        .what = std::move(what),
                        .inflict =
                            [inflict = std::move(inflict)](MemoryEnv& env, const std::string& directory) {
                              if (const Status done = inflict(env, directory + "/"); !done) std::abort();
                            },
                        .replayed = replayed});
  }

  void cuts(const StoreFile& file) {
    const uint64_t size = file.bytes.size();
    const auto at = [&](uint64_t end) {
      add(file.name, {end, size}, fmt::format("cut off at {}", end),
          [name = file.name, end](Env& env, const std::string& top) { return cut(env, top + name, end); });
    };
    for (uint64_t end = 0; end < size; end += 512) at(end);
    const ByteRange last = is_segment(file) ? last_record(file) : ByteRange{size - std::min<uint64_t>(size, 300), size};
    for (uint64_t end = last.begin; end < last.end; ++end) at(end);
  }

  void whole_files() {
    uint64_t highest = 0;
    for (const StoreFile& file : specimen_.files) {
      if (is_segment(file)) highest = std::stoull(file.name.substr(4), nullptr, 16);
    }
    for (const StoreFile& file : specimen_.files) {
      if (!is_kept(file)) continue;
      const ByteRange all{0, file.bytes.size()};
      add(file.name, all, "missing", [&](Env& env, const std::string& top) { return env.remove(top + file.name); });
      if (is_segment(file)) {
        const std::string twice = fmt::format("log/{:016x}.seg", highest + 1);
        add(twice, {}, "is a second " + file.name,
            [&, twice](Env& env, const std::string& top) { return replace(env, top + twice, file.bytes); });
      }
      for (const StoreFile& other : specimen_.files) {
        if (other.bytes == file.bytes || !is_kept(other) || is_segment(other) != is_segment(file)) continue;
        add(file.name, all, "is " + other.name,
            [&](Env& env, const std::string& top) { return replace(env, top + file.name, other.bytes); });
      }
    }
  }

  // Of one file to another one's, of one version to another one's.
  void units() {
    const auto bytes_of = [&](const StoredUnit& unit) {
      return specimen_.file(unit.file).bytes.substr(unit.bytes.begin, unit.bytes.end - unit.bytes.begin);
    };
    for (const StoredUnit& from : specimen_.units) {
      for (const StoredUnit& to : specimen_.units) {
        if (&from == &to) continue;
        const std::string moved = bytes_of(from).substr(0, to.bytes.end - to.bytes.begin);
        const ByteRange changed{to.bytes.begin, to.bytes.begin + moved.size()};
        add(to.file, changed,
            fmt::format("the unit at {} is that of {} at {}", to.bytes.begin, from.file, from.bytes.begin),
            [&to, moved](Env& env, const std::string& top) { return put(env, top + to.file, to.bytes.begin, moved); });
        if (&from < &to || from.bytes.end - from.bytes.begin != to.bytes.end - to.bytes.begin) continue;
        add(to.file, changed,
            fmt::format("the unit at {} and that of {} at {} are exchanged", to.bytes.begin, from.file,
                        from.bytes.begin),
            [&, moved, other = bytes_of(to)](Env& env, const std::string& top) -> Status {
              PAILFS_TRY(put(env, top + to.file, to.bytes.begin, moved));
              return put(env, top + from.file, from.bytes.begin, other);
            });
      }
    }
  }

  // A file, and each block of it, as it was at a moment before.
  void earlier(size_t moment) {
    for (const auto& [name, old] : specimen_.earlier[moment]) {
      const std::string& before = old;
      const auto now = std::ranges::find(specimen_.files, name, &StoreFile::name);
      if (now != specimen_.files.end() && (now->bytes == before || !is_kept(*now))) continue;
      const uint64_t size = now == specimen_.files.end() ? 0 : now->bytes.size();
      add(
          name, {0, size}, fmt::format("as it was at moment {}", moment),
          [name, &before](Env& env, const std::string& top) { return replace(env, top + name, before); }, true);
      for (uint64_t at = 0; at < std::min<uint64_t>(size, before.size()); at += kBlock) {
        const std::string block = before.substr(at, kBlock);
        if (now->bytes.compare(at, block.size(), block) == 0) continue;
        add(
            name, {at, at + block.size()}, fmt::format("the block at {} as it was at moment {}", at, moment),
            [name, at, block](Env& env, const std::string& top) { return put(env, top + name, at, block); }, true);
      }
    }
  }

  const Specimen& specimen_;
  std::vector<Damage> damages_;
};

class MovesTest : public testing::Test {
 protected:
  MovesTest() { set_log_level(LogLevel::kError); }

  void expect_nothing_wrong(const Specimen& specimen) {
    if (HasFatalFailure()) return;
    const Moves moves(specimen);
    const uint64_t every = sweep_share(20);
    const uint64_t count = (moves.all().size() + every - 1) / every;
    // Not each n-th, which would meet the same kinds again and again.
    sweep(specimen, "E2", "pieces", count, [&](uint64_t i) {
      const uint64_t first = i * every;
      return moves.all()[first + mixed(i) % std::min(every, moves.all().size() - first)];
    });
  }

  const TemporaryDirectory directory_;
};

TEST_F(MovesTest, PiecesOfAClosedStore) { expect_nothing_wrong(*Specimen::closed(directory_.path())); }
TEST_F(MovesTest, PiecesOfAKilledStore) { expect_nothing_wrong(*Specimen::killed(directory_.path())); }

}  // namespace
}  // namespace pailfs::test
