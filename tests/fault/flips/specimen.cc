#include "fault/flips/specimen.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "core/content.h"
#include "core/records.h"
#include "fault/core/lmdb_medium.h"
#include "log/format.h"
#include "store/internal_keys.h"
#include "support/tree_dump.h"

namespace pailfs::test {

Shown::Shown(const std::string& dump) {
  Block* block = nullptr;
  std::map<std::string, size_t> last;
  for (size_t at = 0; at < dump.size();) {
    const size_t end = dump.find('\n', at);
    const std::string line = dump.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("  ")) {
      block->text += line + "\n";
      continue;
    }
    const size_t colon = line.find(": ");
    const std::string path = line.substr(0, colon);
    auto& blocks = paths[path];
    // "PATH: MODE OWNER ..." begins what is said of a path; "PATH: CALL: ERROR" is part of it.
    const bool failed = line.find(" links ", colon) == std::string::npos;
    if (failed) errors.push_back(line);
    if (!failed || blocks.empty()) blocks.emplace_back();
    block = &blocks.back();
    block->failed = block->failed || failed;
    block->text += line + "\n";
  }
}

std::unique_ptr<Specimen> Specimen::closed(const std::string& directory) {
  std::unique_ptr<Specimen> made(new Specimen("closed", directory));
  made->make_closed();
  made->finish();
  return made;
}

std::unique_ptr<Specimen> Specimen::killed(const std::string& directory) {
  std::unique_ptr<Specimen> made(new Specimen("killed", directory));
  made->make_closed();
  made->go_on();
  made->finish();
  return made;
}

std::unique_ptr<MemoryEnv> Specimen::copy() const { return medium_->crash_image({Unsynced::kKeep, Unsynced::kKeep}); }

void Specimen::make_closed() {
  MemoryEnv memory(1);
  std::string path;
  for (const auto& part : std::filesystem::path(directory).relative_path()) {
    const std::string above = path;
    path += "/" + part.string();
    ASSERT_TRUE(memory.make_dir(path));
    ASSERT_TRUE(memory.sync_dir(above.empty() ? "/" : above));
  }
  memory.set_now(now_);
  memory.run_clock(1'000'000);
  {
    LmdbMedium medium(memory, directory);
    make_world(medium, directory);
    medium_ = memory.crash_image({Unsynced::kDrop, Unsynced::kDrop});
    keep_moment();
    auto begun = Life::begin(medium, directory);
    ASSERT_TRUE(begun) << begun.error().message;
    Life& life = **begun;
    note(life);
    // So many that the index has several pages, and names in a second directory.
    const auto made = [&](const Status& done) { ASSERT_TRUE(done) << done.error().message; };
    for (int i = 0; i < 12; ++i) made(life.create(fmt::format("bucket/d/f{}", i), pattern(fmt::to_string(i), 90)));
    for (const char* step : {"setxattr-large", "copy-range", "reclaim", "overwrite", "reclaim"}) {
      made(operation(step).run(life));
      made(life.core().sync());
      note(life);
    }
    made(life.store().close());
  }
  medium_ = memory.crash_image({Unsynced::kKeep, Unsynced::kKeep});
  keep_moment();
}

// More of it, none of which but the first comes to the index.
void Specimen::go_on() {
  medium_->run_clock(1'000'000);
  {
    LmdbMedium medium(*medium_, directory);
    auto begun = Life::begin(medium, directory);
    ASSERT_TRUE(begun) << begun.error().message;
    Life& life = **begun;
    note(life);
    for (const char* step : {"create", "checkpoint", "append", "setxattr", "rename", "mkdir", "unlink-one-of-two",
                             "overwrite-plain", "create-empty", "rename-directory", "symlink"}) {
      const Status done = operation(step).run(life);
      ASSERT_TRUE(done) << step << ": " << done.error().message;
      ASSERT_TRUE(life.core().sync());
      note(life);
    }
  }
  medium_ = medium_->crash_image({Unsynced::kDrop, Unsynced::kDrop});
}

void Specimen::keep_moment() { earlier.push_back(read_all()); }

std::map<std::string, std::string> Specimen::read_all() const {
  std::map<std::string, std::string> all;
  const std::function<void(const std::string&)> visit = [&](const std::string& below) {
    const auto names = medium_->list_dir(directory + below);
    if (names) {
      for (const std::string& entry : *names) visit(below + "/" + entry);
      return;
    }
    const auto bytes = medium_->read_file(directory + below, 16 << 20);
    ASSERT_TRUE(bytes) << bytes.error().message;
    all[below.substr(1)] = *bytes;
  };
  visit("");
  return all;
}

void Specimen::note(Life& life) { states.emplace(life.store().sequence(), Shown(dump_tree(life.core()))); }

void Specimen::finish() {
  for (auto& [path, bytes] : read_all()) files.push_back({path, std::move(bytes)});
  const auto memory = copy();
  LmdbMedium medium(*memory, directory);
  auto begun = Life::begin(medium, directory);
  ASSERT_TRUE(begun) << begun.error().message;
  states.emplace((*begun)->recovered(), Shown(dump_tree((*begun)->core())));
  note_needed(**begun);
  note_needed_copy();
}

void Specimen::note_needed(Life& life) {
  const Store& store = life.store();
  const auto file_of = [](uint64_t segment) { return fmt::format("log/{:016x}.seg", segment); };
  std::map<std::pair<uint64_t, uint64_t>, internal::Moved> moved;
  std::set<std::pair<uint64_t, uint64_t>> seen;
  const auto scan = [&](Scope scope, const std::string& from, const std::string& end, const auto& visit) {
    StoreView view = store.view();
    auto entry = view.seek(scope, from, end);
    for (; entry && *entry; entry = view.next(scope, end)) visit(**entry);
    ASSERT_TRUE(entry) << entry.error().message;
  };
  scan(kStoreScope, internal::key1(internal::kMoved), internal::key1(internal::kMoved + 1),
       [&](const StoreView::Entry& entry) {
         const internal::Key3 birth = internal::parse_key3(entry.key);
         moved[{birth.a, birth.b}] = *internal::decode_moved(entry.value);
       });
  const auto unit = [&](uint64_t segment, uint64_t offset, uint64_t length) {
    if (!seen.insert({segment, offset}).second) return;
    auto place = moved.upper_bound({segment, offset});
    if (place != moved.begin()) {
      --place;
      const auto& [birth, to] = *place;
      if (birth.first == segment && offset < birth.second + to.length) {
        offset = to.offset + (offset - birth.second);
        segment = to.segment;
      }
    }
    const ByteRange bytes{offset, offset + length};
    needed[file_of(segment)].push_back(bytes);
    units.push_back({file_of(segment), bytes});
  };
  const auto extents = [&](const ExtentList& list) {
    for (const Extent& extent : list) {
      for (uint32_t at = 0; at < extent.run.length; at += kUnitSize) {
        const uint64_t stored = std::min(extent.run.length - at, kUnitSize) + kTagSize;
        unit(extent.run.segment, extent.run.offset + at / kUnitSize * (kUnitSize + kTagSize), stored);
      }
    }
  };
  for (const Scope scope : life.store().keyring().scopes()) {
    for (const char* kind : {"i", "v"}) {
      scan(scope, keys::numbered(*kind, Ino{scope} << kBucketShift),
           keys::numbered(*kind, Ino{scope + 1} << kBucketShift),
           [&](const StoreView::Entry& entry) { extents(decode_inode(entry.value)->extents); });
    }
    scan(scope, keys::numbered('c', Ino{scope} << kBucketShift), keys::numbered('c', Ino{scope + 1} << kBucketShift),
         [&](const StoreView::Entry& entry) { extents(*decode_extents(entry.value)); });
  }
  // The headers of segments with something in them, and all that is replayed.
  for (auto& [path, ranges] : needed) ranges.push_back({0, kSegmentHeaderSize});
  const auto position = store.get(kStoreScope, internal::key1(internal::kPosition));
  ASSERT_TRUE(position && *position);
  const Position held = internal::decode_position(**position)->position;
  const Position end = store.status().recovery.cut;
  for (uint64_t segment = held.segment; segment <= end.segment; ++segment) {
    const auto found = std::ranges::find(files, file_of(segment), &StoreFile::name);
    if (found == files.end()) continue;
    needed[found->name].push_back(
        {segment == held.segment ? held.offset : 0, segment == end.segment ? end.offset : found->bytes.size()});
  }
}

// The newest base of the index copy, and the journals since.
void Specimen::note_needed_copy() {
  std::string base;
  for (const StoreFile& one : files) {
    if (one.name.starts_with("index-copy/base-")) base = one.name;
  }
  const std::string journal = "index-copy/journal-" + base.substr(base.rfind('-') + 1);
  for (const StoreFile& one : files) {
    if (one.name == base || one.name.starts_with(journal)) needed[one.name].push_back({0, one.bytes.size()});
  }
}

bool Specimen::needs(const std::string& path, ByteRange range) const {
  const auto found = needed.find(path);
  if (found == needed.end()) return false;
  return std::ranges::any_of(found->second,
                             [&](const ByteRange& one) { return range.begin < one.end && one.begin < range.end; });
}

const StoreFile& Specimen::file(const std::string& path) const {
  return *std::ranges::find(files, path, &StoreFile::name);
}

}  // namespace pailfs::test
