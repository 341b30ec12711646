// Random operations on names, attributes and content; at random moments the whole tree is written down, byte and
// attribute for attribute. What .versions/@MOMENT shows must agree with that for ever after: while operations go on,
// after restarts, crashes and checkpoints. PAILFS_MODEL_OPERATIONS and PAILFS_MODEL_SEED make longer and other runs.
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <random>

#include "core/acl.h"
#include "core/time_text.h"
#include "support/core_fixture.h"
#include "support/figures.h"
#include "support/sanitizers.h"

namespace pailfs::test {
namespace {

// Everything that can be seen of one name, as text, so that a failure prints it.
using Tree = std::map<std::string, std::string>;

struct Noted {
  Stamp at = 0;
  Tree tree;
};

class MomentsModel : public testing::Test, public CoreOnMemory {
 protected:
  MomentsModel() {
    const char* seed = std::getenv("PAILFS_MODEL_SEED");
    seed_ = seed != nullptr ? std::strtoull(seed, nullptr, 10) : 20261127;
    random_.seed(seed_);
  }

  uint64_t below(uint64_t bound) { return random_() % bound; }

  std::string content(Ino ino, uint64_t size) {
    std::string bytes(size, '\0');
    const auto opened = core->open(root, ino, {.read = true});
    if (!opened) return "cannot be opened: " + outcome(opened);
    const auto read = core->read(ino, opened->handle, 0, bytes);
    core->release(ino, opened->handle);
    if (!read) return "cannot be read: " + outcome(read);
    bytes.resize(*read);
    return bytes;
  }

  std::string describe(const Attributes& shown, uint64_t same_as) {
    std::string text = fmt::format("{:o} {}:{} links {} size {} rdev {} mtime {} atime {} btime {} ctime {} same as {}",
                                   shown.mode, shown.uid, shown.gid, shown.nlink, shown.size, shown.rdev, shown.mtime,
                                   shown.atime, shown.btime, shown.ctime, same_as);
    if (S_ISREG(shown.mode)) text += " content " + content(shown.ino, shown.size);
    if (S_ISLNK(shown.mode)) text += " to " + core->readlink(root, shown.ino).value_or("?");
    auto names = core->listxattr(root, shown.ino).value_or(std::vector<std::string>{"?"});
    std::ranges::sort(names);
    for (const std::string& name : names) {
      text += fmt::format(" {}={}", name, core->getxattr(root, shown.ino, name).value_or("?"));
    }
    return text;
  }

  // Walks a directory, real or shown at a moment. Names of one inode are told by the order in which they are met.
  void walk(Ino directory, const std::string& path, std::map<Ino, uint64_t>& met, Tree& out) {
    std::map<std::string, Attributes> children;
    const bool plus = below(2) == 0;
    for (const DirectoryEntry& entry : list(directory, 3, plus)) {
      if (entry.name == "." || entry.name == "..") continue;
      const auto found = core->lookup(root, directory, entry.name);
      EXPECT_OK(found);
      if (!found) continue;
      EXPECT_EQ(found->ino, entry.ino) << path << "/" << entry.name;
      EXPECT_EQ(found->mode & S_IFMT, entry.type);
      EXPECT_TRUE(children.emplace(entry.name, *found).second) << "listed twice: " << path << "/" << entry.name;
      if (plus) core->forget(entry.ino, 1);
    }
    for (const auto& [name, shown] : children) {
      const uint64_t number = met.emplace(shown.ino, met.size()).first->second;
      out[path + "/" + name] = describe(shown, number);
      if (S_ISDIR(shown.mode)) walk(shown.ino, path + "/" + name, met, out);
    }
    for (const auto& [name, shown] : children) core->forget(shown.ino, 1);
  }

  Tree tree_of(Ino top) {
    std::map<Ino, uint64_t> met;
    Tree out;
    const auto shown = core->getattr(root, top);
    EXPECT_OK(shown);
    if (shown) out["/"] = describe(*shown, 0);
    walk(top, "", met, out);
    return out;
  }

  void note() {
    env.set_now(env.now() + 2'000'000);
    noted_.push_back({env.now(), tree_of(bucket)});
    env.set_now(env.now() + 2'000'000);
  }

  void expect_shown(const Noted& noted) {
    const auto versions = core->lookup(root, bucket, ".versions");
    ASSERT_TRUE(versions) << versions.error().message;
    const auto moment = core->lookup(root, versions->ino, "@" + format_time(noted.at));
    ASSERT_TRUE(moment) << moment.error().message;
    const Tree shown = tree_of(moment->ino);
    for (const auto& [path, text] : noted.tree) {
      const auto found = shown.find(path);
      EXPECT_EQ(found == shown.end() ? "missing" : found->second, text) << path << " at " << noted.at;
    }
    for (const auto& [path, text] : shown) EXPECT_TRUE(noted.tree.contains(path)) << path << " was not there: " << text;
    core->forget(moment->ino, 1);
    core->forget(versions->ino, 1);
  }

  // --- Operations, on what there is

  struct Place {
    Ino parent = 0;
    std::string name;
    Attributes attributes;
  };
  void gather(Ino directory) {
    directories_.push_back(directory);
    for (const DirectoryEntry& entry : list(directory)) {
      if (entry.name == "." || entry.name == "..") continue;
      const auto found = core->lookup(root, directory, entry.name);
      if (!found) continue;
      places_.push_back({directory, entry.name, *found});
      if (S_ISDIR(found->mode)) gather(found->ino);
      core->forget(found->ino, 1);
    }
  }
  std::string some_name() { return std::string(1, static_cast<char>('a' + below(6))); }
  std::string some_bytes() {
    // Some span several chunks of extents.
    const size_t size = below(12) == 0 ? 600'000 + below(600'000) : below(9'000);
    std::string bytes(size, static_cast<char>('a' + below(26)));
    if (!bytes.empty()) bytes[below(size)] = '!';
    return bytes;
  }

  void overwrite(Ino ino) {
    const bool truncate = below(3) == 0;
    const auto opened = core->open(below(4) == 0 ? alice : root, ino, {.write = true, .truncate = truncate});
    if (!opened) return;
    const int writes = static_cast<int>(below(3));
    for (int i = 0; i < writes; ++i) {
      EXPECT_OK(core->write(ino, opened->handle, below(20'000), some_bytes(), false));
      if (below(3) == 0) tick();
    }
    EXPECT_OK(core->flush(ino, opened->handle));
    core->release(ino, opened->handle);
  }

  void make(Ino parent) {
    const std::string name = some_name();
    switch (below(6)) {
      case 0: {
        const auto made = core->symlink(root, parent, name, "to/" + name);
        if (made) core->forget(made->ino, 1);
        break;
      }
      case 1: {
        const auto made = core->mknod(root, parent, name, S_IFIFO | 0640, 0);
        if (made) core->forget(made->ino, 1);
        break;
      }
      case 2:
      case 3: {
        const auto made = core->mkdir(root, parent, name, 0755);
        if (made) core->forget(made->ino, 1);
        break;
      }
      default: {
        const auto made = core->create(root, parent, name, 0644, {.write = true});
        if (!made) break;
        EXPECT_OK(core->write(made->attributes.ino, made->open.handle, 0, some_bytes(), false));
        EXPECT_OK(core->flush(made->attributes.ino, made->open.handle));
        core->release(made->attributes.ino, made->open.handle);
        core->forget(made->attributes.ino, 1);
      }
    }
  }

  void change(const Attributes& object) {
    AttributeChange change;
    switch (below(6)) {
      case 0:
        change.uid = static_cast<uint32_t>(1000 + below(2));
        break;
      case 1:
        change.mtime = Time{1'000'000'000} * static_cast<Time>(below(1'000'000));
        change.atime = change.mtime;
        break;
      case 2: {
        const std::string name = "user." + some_name();
        if (below(3) == 0) {
          static_cast<void>(core->removexattr(root, object.ino, name));
        } else {
          static_cast<void>(core->setxattr(root, object.ino, name, some_name(), Core::XattrMode::kSet));
        }
        return;
      }
      case 3: {
        const auto bits = [&] { return static_cast<uint8_t>(below(8)); };
        const Acl acl{{{AclTag::kUserObj, bits()},
                       {AclTag::kUser, bits(), 1000},
                       {AclTag::kGroupObj, bits()},
                       {AclTag::kMask, bits()},
                       {AclTag::kOther, bits()}}};
        const bool is_default = S_ISDIR(object.mode) && below(2) == 0;
        static_cast<void>(core->setxattr(root, object.ino, is_default ? kDefaultAclName : kAccessAclName,
                                         format_acl(acl), Core::XattrMode::kSet));
        return;
      }
      case 4:
        if (S_ISREG(object.mode)) {
          change.size = below(30'000);
          break;
        }
        [[fallthrough]];
      default:
        change.mode = static_cast<uint32_t>(below(010000));
    }
    static_cast<void>(core->setattr(root, object.ino, change));
  }

  void tick() { env.set_now(env.now() + static_cast<Time>(below(4) == 0 ? below(3'000'000'000) : below(3'000'000))); }

  void step() {
    directories_.clear();
    places_.clear();
    gather(bucket);
    const Ino directory = directories_[below(directories_.size())];
    const uint64_t choice = places_.size() > 40 ? 30 + below(70) : below(100);
    if (choice < 30 || places_.empty()) return make(directory);
    const Place& place = places_[below(places_.size())];
    const Place& other = places_[below(places_.size())];
    if (choice < 50) {
      if (S_ISREG(place.attributes.mode)) overwrite(place.attributes.ino);
    } else if (choice < 60) {
      const RenameMode how = below(3) == 0 ? RenameMode::kExchange : RenameMode::kReplace;
      static_cast<void>(rename(place.parent, place.name, directory, below(2) == 0 ? some_name() : other.name, how));
    } else if (choice < 66) {
      const auto linked = core->link(root, place.attributes.ino, directory, some_name());
      if (linked) core->forget(linked->ino, 1);
    } else if (choice < 82) {
      if (S_ISDIR(place.attributes.mode)) {
        static_cast<void>(core->rmdir(root, place.parent, place.name));
      } else {
        EXPECT_OK(core->unlink(root, place.parent, place.name));
      }
    } else {
      change(place.attributes);
    }
  }

  void run(uint64_t operations) {
    for (uint64_t i = 0; i < operations && !HasFailure(); ++i) {
      step();
      tick();
      if (below(12) == 0) note();
      if (!noted_.empty() && i % 10 == 9) expect_shown(noted_[below(noted_.size())]);
      if (i % 500 == 499) EXPECT_OK(store->checkpoint());
      if (i % 700 == 699) {
        EXPECT_OK(store->sync());
        below(2) == 0 ? crash() : restart();
        // Stamps begin behind every one that there was: the clock catches up.
        env.set_now(env.now() + 3'000'000'000);
      }
      if (HasFailure()) ADD_FAILURE() << "seed " << seed_ << ", operation " << i;
    }
    for (const Noted& noted : noted_) {
      if (HasFailure()) break;
      expect_shown(noted);
    }
    expect_sound();
  }

  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  std::vector<Noted> noted_;
  std::vector<Ino> directories_;
  std::vector<Place> places_;
};

TEST_F(MomentsModel, EveryMomentIsShownAsItWas) {
  const char* operations = std::getenv("PAILFS_MODEL_OPERATIONS");
  const uint64_t count = operations != nullptr ? std::strtoull(operations, nullptr, 10) : 6'000 / kSlowdown;
  run(count);
  print_figures("A", "moments against copies", {{"operations", count}, {"moments", noted_.size()}});
}

}  // namespace
}  // namespace pailfs::test
