// Random operations on names and attributes by three users, on the core and on a small tree in memory that knows
// nothing but POSIX: every outcome, and every now and then the whole tree, must agree. PAILFS_MODEL_OPERATIONS and
// PAILFS_MODEL_SEED make longer and other runs.
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "support/core_fixture.h"
#include "support/figures.h"
#include "support/sanitizers.h"

namespace pailfs::test {
namespace {

constexpr uint32_t kR = 4, kW = 2, kX = 1;

struct Node {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t links = 1;  // of files
  uint64_t size = 0;
  std::string target;
  Ino ino = 0;
  Node* parent = nullptr;  // of directories; null: the bucket, or removed
  std::map<std::string, Node*> entries;
  std::map<std::string, std::string> xattrs;

  bool directory() const { return S_ISDIR(mode); }
  uint32_t nlink() const {
    if (!directory()) return links;
    uint32_t count = 2;
    for (const auto& [name, node] : entries) count += node->directory() ? 1 : 0;
    return count;
  }
};

struct Person {
  uint32_t uid;
  std::set<uint32_t> groups;
};

// The reference: each call returns the outcome that POSIX (and Linux, where POSIX leaves it open) prescribes, and does
// it.
class Tree {
 public:
  Tree() { root.mode = S_IFDIR | 0777; }

  static bool may(const Person& who, const Node& node, uint32_t wanted) {
    if (who.uid == 0) return node.directory() || (wanted & kX) == 0 || (node.mode & 0111) != 0;
    const unsigned shift = who.uid == node.uid ? 6 : who.groups.contains(node.gid) ? 3 : 0;
    return ((node.mode >> shift) & wanted) == wanted;
  }
  static bool sticky(const Person& who, const Node& directory, const Node& victim) {
    return (directory.mode & S_ISVTX) != 0 && who.uid != 0 && who.uid != directory.uid && who.uid != victim.uid;
  }
  static Node* child(const Node& directory, const std::string& name) {
    const auto it = directory.entries.find(name);
    return it == directory.entries.end() ? nullptr : it->second;
  }
  static std::string search(const Person& who, const Node& directory) {
    if (!directory.directory()) return code(Code::kNotDirectory);
    return may(who, directory, kX) ? "ok" : code(Code::kAccessDenied);
  }
  static std::string removable(const Person& who, const Node& directory, const Node& victim) {
    if (!may(who, directory, kW | kX)) return code(Code::kAccessDenied);
    return sticky(who, directory, victim) ? code(Code::kNotPermitted) : "ok";
  }

  std::string lookup(const Person& who, const Node& directory, const std::string& name) const {
    if (const std::string found = search(who, directory); found != "ok") return found;
    return child(directory, name) != nullptr ? "ok" : code(Code::kNotFound);
  }

  std::string make(const Person& who, Node& directory, const std::string& name, Node wanted, Node** made) {
    if (const std::string found = search(who, directory); found != "ok") return found;
    if (child(directory, name) != nullptr) return code(Code::kExists);
    if (!may(who, directory, kW | kX)) return code(Code::kAccessDenied);
    wanted.uid = who.uid;
    wanted.gid = who.uid;
    if ((directory.mode & S_ISGID) != 0) {
      wanted.gid = directory.gid;
      if (wanted.directory()) wanted.mode |= S_ISGID;
      const bool program = (wanted.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
      if (!wanted.directory() && program && who.uid != 0 && !who.groups.contains(wanted.gid)) {
        wanted.mode &= ~uint32_t{S_ISGID};
      }
    }
    nodes.push_back(std::make_unique<Node>(std::move(wanted)));
    *made = nodes.back().get();
    if ((*made)->directory()) (*made)->parent = &directory;
    directory.entries[name] = *made;
    return "ok";
  }

  std::string link(const Person& who, Node& file, Node& directory, const std::string& name) {
    if (const std::string found = search(who, directory); found != "ok") return found;
    if (child(directory, name) != nullptr) return code(Code::kExists);
    if (file.directory()) return code(Code::kNotPermitted);
    if (who.uid != 0 && who.uid != file.uid) {
      const bool program = (file.mode & S_ISUID) != 0 || (file.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
      if (!S_ISREG(file.mode) || program || !may(who, file, kR | kW)) return code(Code::kNotPermitted);
    }
    if (!may(who, directory, kW | kX)) return code(Code::kAccessDenied);
    directory.entries[name] = &file;
    ++file.links;
    return "ok";
  }

  std::string remove(const Person& who, Node& directory, const std::string& name, bool rmdir) {
    if (const std::string found = search(who, directory); found != "ok") return found;
    Node* victim = child(directory, name);
    if (victim == nullptr) return code(Code::kNotFound);
    if (const std::string allowed = removable(who, directory, *victim); allowed != "ok") return allowed;
    if (victim->directory() && !rmdir) return code(Code::kIsDirectory);
    if (!victim->directory() && rmdir) return code(Code::kNotDirectory);
    if (!victim->entries.empty()) return code(Code::kNotEmpty);
    directory.entries.erase(name);
    drop(victim);
    return "ok";
  }

  std::string rename(const Person& who, Node& from, const std::string& name, Node& to, const std::string& new_name,
                     RenameMode mode) {
    for (const Node* directory : {&from, &to}) {
      if (const std::string found = search(who, *directory); found != "ok") return found;
    }
    Node* moved = child(from, name);
    Node* other = child(to, new_name);
    const bool exchange = mode == RenameMode::kExchange;
    if (moved == nullptr) return code(Code::kNotFound);
    if (other != nullptr && mode == RenameMode::kNoReplace) return code(Code::kExists);
    if (other == nullptr && exchange) return code(Code::kNotFound);
    if (moved == other) return "ok";
    if (const std::string allowed = may_rename(who, from, to, *moved, other, exchange); allowed != "ok") return allowed;
    if (other != nullptr && !exchange) {
      if (moved->directory() && !other->directory()) return code(Code::kNotDirectory);
      if (!moved->directory() && other->directory()) return code(Code::kIsDirectory);
    }
    if (within(to, moved) || (exchange && within(from, other))) return code(Code::kInvalid);
    if (exchange) {
      from.entries[name] = other;
      if (other->directory()) other->parent = &from;
    } else {
      if (other != nullptr && !other->entries.empty()) return code(Code::kNotEmpty);
      from.entries.erase(name);
      if (other != nullptr) drop(other);
    }
    to.entries[new_name] = moved;
    if (moved->directory()) moved->parent = &to;
    return "ok";
  }

  static std::string chmod(const Person& who, Node& node, uint32_t mode) {
    if (S_ISLNK(node.mode)) return code(Code::kNotSupported);
    if (who.uid != 0 && who.uid != node.uid) {
      const uint32_t stripped = (node.mode & 07777) & ~mode;
      const bool strips = stripped != 0 && (mode & ~(node.mode & 07777)) == 0 && (stripped & ~06000u) == 0;
      if (!strips || !may(who, node, kW)) return code(Code::kNotPermitted);
    }
    if ((mode & S_ISGID) != 0 && who.uid != 0 && !who.groups.contains(node.gid)) mode &= ~uint32_t{S_ISGID};
    node.mode = (node.mode & S_IFMT) | mode;
    return "ok";
  }

  static std::string chown(const Person& who, Node& node, std::optional<uint32_t> uid, std::optional<uint32_t> gid) {
    if (who.uid != 0) {
      if (who.uid != node.uid || (uid && *uid != node.uid)) return code(Code::kNotPermitted);
      if (gid && *gid != node.gid && !who.groups.contains(*gid)) return code(Code::kNotPermitted);
    }
    node.uid = uid.value_or(node.uid);
    node.gid = gid.value_or(node.gid);
    if (!node.directory()) node.mode &= (node.mode & S_IXGRP) != 0 ? ~06000u : ~04000u;
    return "ok";
  }

  static std::string truncate(const Person& who, Node& node, uint64_t size) {
    if (node.directory()) return code(Code::kIsDirectory);
    if (!S_ISREG(node.mode)) return code(Code::kInvalid);
    if (!may(who, node, kW)) return code(Code::kAccessDenied);
    node.size = size;
    if (who.uid != 0) node.mode &= (node.mode & S_IXGRP) != 0 ? ~06000u : ~04000u;
    return "ok";
  }

  static std::string set_xattr(const Person& who, Node& node, const std::string& name, const std::string& value) {
    if (!S_ISREG(node.mode) && !node.directory()) return code(Code::kNotPermitted);
    const bool owner = who.uid == 0 || who.uid == node.uid;
    if (node.directory() && (node.mode & S_ISVTX) != 0 && !owner) return code(Code::kNotPermitted);
    if (!may(who, node, kW)) return code(Code::kAccessDenied);
    if (value.empty()) return node.xattrs.erase(name) != 0 ? "ok" : code(Code::kNoData);
    node.xattrs[name] = value;
    return "ok";
  }

  // Everything that has a name, and the bucket.
  std::vector<Node*> reachable() {
    std::vector<Node*> found{&root};
    std::set<Node*> seen{&root};
    for (size_t i = 0; i < found.size(); ++i) {
      for (const auto& [name, node] : found[i]->entries) {
        if (seen.insert(node).second) found.push_back(node);
      }
    }
    return found;
  }

  Node root;

 private:
  static std::string may_rename(const Person& who, const Node& from, const Node& to, const Node& moved,
                                const Node* other, bool exchange) {
    if (const std::string allowed = removable(who, from, moved); allowed != "ok") return allowed;
    if (other == nullptr) {
      if (!may(who, to, kW | kX)) return code(Code::kAccessDenied);
    } else if (const std::string allowed = removable(who, to, *other); allowed != "ok") {
      return allowed;
    }
    if (&from == &to) return "ok";
    if (exchange && other->directory() && !may(who, *other, kW)) return code(Code::kAccessDenied);
    if (moved.directory() && !may(who, moved, kW)) return code(Code::kAccessDenied);
    return "ok";
  }
  static bool within(const Node& directory, const Node* ancestor) {
    for (const Node* at = &directory; at != nullptr; at = at->parent) {
      if (at == ancestor) return true;
    }
    return false;
  }
  static void drop(Node* node) {
    if (node->directory()) {
      node->parent = nullptr;
    } else {
      --node->links;
    }
  }

  std::vector<std::unique_ptr<Node>> nodes;
};

class NamesModel : public testing::TestWithParam<Versioning>, public CoreOnMemory {
 protected:
  NamesModel() : CoreOnMemory(GetParam()) {
    tree_.root.ino = bucket;
    const char* seed = std::getenv("PAILFS_MODEL_SEED");
    seed_ = seed != nullptr ? std::strtoull(seed, nullptr, 10) : 20261123;
    random_.seed(seed_);
  }

  uint64_t below(uint64_t limit) { return random_() % limit; }
  const std::string& name() { return kNames[below(kNames.size())]; }
  // A name that is in the directory, most of the time.
  std::string name_in(const Node& node) {
    if (node.entries.empty() || below(4) == 0) return name();
    return std::next(node.entries.begin(), static_cast<std::ptrdiff_t>(below(node.entries.size())))->first;
  }
  // Mostly permissive, so that the tree lives; any bits now and then.
  uint32_t mode() {
    static const std::vector<uint32_t> kModes = {0777, 0777, 0755, 01777, 02777, 06777};
    return below(4) == 0 ? static_cast<uint32_t>(below(010000)) : kModes[below(kModes.size())];
  }
  Node& any() { return *live_[below(live_.size())]; }
  Node& directory() {
    for (int tries = 0; tries < 20; ++tries) {
      Node& node = any();
      if (node.directory() || below(50) == 0) return node;
    }
    return tree_.root;
  }

  void expect_same(const Node& node) {
    const auto attributes = core->getattr(root, node.ino);
    ASSERT_TRUE(attributes) << attributes.error().message;
    EXPECT_EQ(attributes->mode, node.mode);
    EXPECT_EQ(attributes->uid, node.uid);
    EXPECT_EQ(attributes->gid, node.gid);
    EXPECT_EQ(attributes->nlink, node.nlink());
    if (!node.directory()) {
      EXPECT_EQ(attributes->size, node.size);
    }
  }

  void expect_same_tree() {
    for (const Node* node : tree_.reachable()) {
      expect_same(*node);
      if (S_ISLNK(node->mode)) {
        EXPECT_EQ(core->readlink(root, node->ino), node->target);
      }
      std::map<std::string, std::string> xattrs;
      const auto listed = core->listxattr(root, node->ino);
      ASSERT_TRUE(listed);
      for (const std::string& xattr : *listed) xattrs[xattr] = core->getxattr(root, node->ino, xattr).value_or("?");
      EXPECT_EQ(xattrs, node->xattrs);
      if (!node->directory()) continue;
      std::map<std::string, Ino> expected, entries;
      for (const auto& [child, entry] : node->entries) expected[child] = entry->ino;
      for (const DirectoryEntry& entry : list(node->ino, 5)) {
        if (entry.cookie <= 2) continue;
        EXPECT_TRUE(entries.emplace(entry.name, entry.ino).second);
      }
      EXPECT_EQ(entries, expected);
    }
  }

  // A new node agrees in its number from here on.
  std::string make(const Person& who, const Caller& caller) {
    Node& parent = directory();
    const std::string chosen = name();
    Node wanted;
    Result<Attributes> made;
    wanted.mode = mode();
    switch (below(4)) {
      case 0:
        wanted.target = "to/" + chosen;
        wanted.size = wanted.target.size();
        wanted.mode = S_IFLNK | 0777;
        made = core->symlink(caller, parent.ino, chosen, wanted.target);
        break;
      case 1:
        wanted.mode |= S_IFREG;
        made = core->mknod(caller, parent.ino, chosen, wanted.mode, 0);
        break;
      default:
        made = core->mkdir(caller, parent.ino, chosen, wanted.mode);
        wanted.mode |= S_IFDIR;
    }
    Node* node = nullptr;
    const std::string expected = tree_.make(who, parent, chosen, wanted, &node);
    EXPECT_EQ(outcome(made), expected);
    if (node != nullptr && made) {
      node->ino = made->ino;
      core->forget(made->ino, 1);
      expect_same(*node);
    }
    return "make";
  }

  std::string move(const Person& who, const Caller& caller) {
    Node &from = directory(), &to = below(3) == 0 ? from : directory();
    const std::string old_name = name_in(from), new_name = below(2) == 0 ? name_in(to) : name();
    const RenameMode how = below(4) == 0   ? RenameMode::kExchange
                           : below(6) == 0 ? RenameMode::kNoReplace
                                           : RenameMode::kReplace;
    const Status renamed = core->rename(caller, from.ino, old_name, to.ino, new_name, how);
    EXPECT_EQ(outcome(renamed), tree_.rename(who, from, old_name, to, new_name, how));
    expect_same(from);
    expect_same(to);
    return "rename";
  }

  std::string link(const Person& who, const Caller& caller) {
    Node &file = any(), &parent = directory();
    const std::string chosen = name();
    const Result<Attributes> linked = core->link(caller, file.ino, parent.ino, chosen);
    EXPECT_EQ(outcome(linked), tree_.link(who, file, parent, chosen));
    if (linked) core->forget(linked->ino, 1);
    expect_same(file);
    return "link";
  }

  std::string remove(const Person& who, const Caller& caller) {
    Node& parent = directory();
    const std::string chosen = name_in(parent);
    const bool rmdir = below(2) == 0;
    const Status removed = rmdir ? core->rmdir(caller, parent.ino, chosen) : core->unlink(caller, parent.ino, chosen);
    EXPECT_EQ(outcome(removed), tree_.remove(who, parent, chosen, rmdir));
    expect_same(parent);
    return rmdir ? "rmdir" : "unlink";
  }

  std::string change(const Person& who, const Caller& caller) {
    Node& node = any();
    if (node.ino == bucket && below(4) != 0) return "nothing";
    const uint32_t bits = mode();
    switch (below(4)) {
      case 0: {
        const std::optional<uint32_t> uid = below(2) == 0 ? std::optional(kUids[below(3)]) : std::nullopt;
        const std::optional<uint32_t> gid = uid && below(2) == 0 ? std::nullopt : std::optional(kGids[below(5)]);
        EXPECT_EQ(outcome(chown(caller, node.ino, uid, gid)), Tree::chown(who, node, uid, gid));
        break;
      }
      case 1: {
        AttributeChange truncation;
        truncation.size = below(100'000);
        EXPECT_EQ(outcome(core->setattr(caller, node.ino, truncation)), Tree::truncate(who, node, *truncation.size));
        break;
      }
      case 2: {
        const std::string xattr = "user." + name(), value = below(3) == 0 ? "" : "value of " + xattr;
        const Status set = value.empty() ? core->removexattr(caller, node.ino, xattr)
                                         : core->setxattr(caller, node.ino, xattr, value, Core::XattrMode::kSet);
        EXPECT_EQ(outcome(set), Tree::set_xattr(who, node, xattr, value));
        break;
      }
      default:
        EXPECT_EQ(outcome(chmod(caller, node.ino, bits)), Tree::chmod(who, node, bits));
    }
    expect_same(node);
    return "change";
  }

  std::string look(const Person& who, const Caller& caller) {
    Node& parent = directory();
    const std::string chosen = name_in(parent);
    const Result<Attributes> found = core->lookup(caller, parent.ino, chosen);
    EXPECT_EQ(outcome(found), tree_.lookup(who, parent, chosen));
    if (found) {
      EXPECT_EQ(found->ino, Tree::child(parent, chosen)->ino);
      core->forget(found->ino, 1);
    }
    const int mask = static_cast<int>(below(8));
    const bool allowed = Tree::may(who, parent, static_cast<uint32_t>(mask));
    EXPECT_EQ(outcome(core->access(caller, parent.ino, mask)), allowed ? "ok" : code(Code::kAccessDenied));
    return "look";
  }

  void run(uint64_t operations) {
    const std::vector<Person> people = {{0, {0}}, {1000, {1000, 100, 2000}}, {1001, {1001, 100}}};
    const std::vector<const Caller*> callers = {&root.caller, &alice.caller, &bob.caller};
    for (uint64_t i = 0; i < operations && !HasFailure(); ++i) {
      // Which nodes have names is found anew only sometimes: calls on those that lost theirs are left to other tests.
      live_ = tree_.reachable();
      const size_t who = below(10) == 0 ? 0 : 1 + below(2);
      std::string what;
      const uint64_t choice = live_.size() > 60 ? 40 + below(60) : below(100);
      if (choice < 35)
        what = make(people[who], *callers[who]);
      else if (choice < 45)
        what = link(people[who], *callers[who]);
      else if (choice < 60)
        what = move(people[who], *callers[who]);
      else if (choice < 80)
        what = remove(people[who], *callers[who]);
      else if (choice < 92)
        what = change(people[who], *callers[who]);
      else
        what = look(people[who], *callers[who]);
      if (i % 2000 == 1999) EXPECT_OK(store->checkpoint());
      if (i % 1000 == 999) expect_same_tree();
      if (i % 7000 == 6999) {
        EXPECT_OK(store->sync());
        crash();
        expect_same_tree();
      }
      // Nobody can get rid of a tree that nobody may enter: root opens it up again.
      if (i % 3000 == 2999) {
        for (Node* node : tree_.reachable()) {
          if (!node->directory()) continue;
          node->mode = S_IFDIR | 0777;
          EXPECT_OK(chmod(root, node->ino, 0777));
        }
      }
      if (HasFailure()) ADD_FAILURE() << "seed " << seed_ << ", operation " << i << ": " << what << " by " << who;
    }
    expect_same_tree();
    expect_sound();
  }

  static inline const std::vector<std::string> kNames = {"a", "b", "c", "d", "e", "long name", "\xff\x01"};
  static inline const std::vector<uint32_t> kUids = {0, 1000, 1001};
  static inline const std::vector<uint32_t> kGids = {0, 100, 1000, 1001, 2000};
  Tree tree_;
  std::vector<Node*> live_;
  uint64_t seed_ = 0;
  std::mt19937_64 random_;
};

TEST_P(NamesModel, AgreesWithPosixOnRandomOperations) {
  const char* operations = std::getenv("PAILFS_MODEL_OPERATIONS");
  const uint64_t count = operations != nullptr ? std::strtoull(operations, nullptr, 10) : 1'000'000 / kSlowdown;
  run(count);
  print_figures("A", "names against a reference", {{"operations", count}, {"seeds", 1}});
}

INSTANTIATE_TEST_SUITE_P(Versioning, NamesModel, testing::Values(Versioning::kOff, Versioning::kEnabled),
                         [](const auto& state) { return std::string(versioning_name(state.param)); });

}  // namespace
}  // namespace pailfs::test
