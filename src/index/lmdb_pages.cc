#include "index/lmdb_pages.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "index/index.h"

namespace pailfs {

namespace {

// From mdb.c of LMDB 0.9.24. A page: its number (8), unused (2), flags (2), then either where the list of entries ends
// (2) and where the entries begin (2), or of how many pages a long value is (4); offsets of entries, 2 bytes each.
constexpr size_t kPageHeader = 16;
constexpr size_t kPageFlagsAt = 10;
constexpr size_t kLowerAt = 12;
constexpr size_t kUpperAt = 14;
constexpr size_t kPagesAt = 12;
constexpr uint16_t kBranch = 0x01;
constexpr uint16_t kLeaf = 0x02;
constexpr uint16_t kOverflow = 0x04;
// An entry: in a leaf the size of the value (4), flags (2), the size of the key (2), key, value; in a branch six bytes
// of page number instead of size and flags, and no value.
constexpr size_t kEntryHeader = 8;
constexpr uint16_t kBigValue = 0x01;  // the value is in pages of its own, and its place has their number
constexpr uint64_t kNoPage = ~uint64_t{0};
constexpr size_t kSlab = 8192;  // pages that are read in the order of the file

template <class T>
T field(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

struct Entry {
  std::string_view key;
  std::string_view value;  // leaf; of a long one, the number of its first page
  uint64_t size = 0;       // leaf: of the value
  uint64_t child = 0;      // branch
  bool big = false;
};

// A page that is to be looked at, and the keys that a search comes to it with: from <= key < end.
struct Expected {
  uint64_t page = 0;
  std::string from;
  std::optional<std::string> end;
};

class PageWalk {
 public:
  // `pages`: that the file has, the two meta pages included.
  PageWalk(int fd, uint64_t pages, const std::string& path, const LmdbMeta& meta)
      : fd_(fd), path_(path), meta_(meta), buffer_(meta.page_size, '\0'), used_(pages) {
    used_[0] = used_[1] = true;
  }

  Status run() {
    free_list_ = true;
    PAILFS_TRY(tree(meta_.free_tree));
    free_list_ = false;
    return tree(meta_.main_tree);
  }

 private:
  std::unexpected<Error> damaged(uint64_t page, std::string_view what) const {
    return fail(Code::kCorrupt, fmt::format("the index file {} is damaged: page {}: {}", path_, page, what));
  }

  Status use(uint64_t first, uint64_t count, uint64_t said_by) {
    if (count == 0) return {};
    if (first > meta_.last_page || count > meta_.last_page + 1 - first || first + count > used_.size()) {
      return damaged(said_by, fmt::format("names page {}, which is not there", first));
    }
    for (uint64_t page = first; page < first + count; ++page) {
      if (used_[page]) return in_use(page, said_by);
      used_[page] = true;
    }
    return {};
  }

  // LMDB does not write what a transaction took and gave back: free pages may lie behind the end of the file.
  Status use_free(uint64_t page, uint64_t said_by) {
    if (page < used_.size() || page > meta_.last_page) return use(page, 1, said_by);
    return free_behind_.insert(page).second ? Status{} : in_use(page, said_by);
  }

  std::unexpected<Error> in_use(uint64_t page, uint64_t said_by) const {
    return damaged(said_by, fmt::format("names page {}, which is in use elsewhere", page));
  }

  Status read(uint64_t page, uint64_t skip, std::span<char> out) const {
    for (size_t got = 0; got < out.size();) {
      const auto offset = static_cast<off_t>(page * meta_.page_size + skip + got);
      const ssize_t n = ::pread(fd_, out.data() + got, out.size() - got, offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return std::unexpected(system_error(errno, "reading " + path_));
      if (n == 0) return damaged(page, "lies behind the end of the file");
      got += static_cast<size_t>(n);
    }
    return {};
  }

  Status tree(const LmdbTree& tree) {
    counted_ = {};
    if (tree.root != kNoPage) {
      if (tree.depth == 0) return damaged(tree.root, "is the root of a tree without depth");
      PAILFS_TRY(use(tree.root, 1, tree.root));
      PAILFS_TRY(level({{.page = tree.root, .from = {}, .end = {}}}, tree.depth));
    }
    if (counted_.branch_pages != tree.branch_pages || counted_.leaf_pages != tree.leaf_pages ||
        counted_.overflow_pages != tree.overflow_pages || counted_.entries != tree.entries) {
      return fail(Code::kCorrupt, fmt::format("the index file {} is damaged: its {} has {} entries in {} pages, and "
                                              "should have {} in {}",
                                              path_, free_list_ ? "free list" : "tree", counted_.entries,
                                              pages(counted_), tree.entries, pages(tree)));
    }
    return {};
  }
  static uint64_t pages(const LmdbTree& tree) { return tree.branch_pages + tree.leaf_pages + tree.overflow_pages; }

  // Pages of one depth, `height` levels with theirs. Of those below, as many as fit into a slab at a time.
  Status level(std::vector<Expected> expected, uint64_t height) {
    std::vector<size_t> order(expected.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, {}, [&](size_t i) { return expected[i].page; });
    std::vector<std::vector<Expected>> below(expected.size());
    for (const size_t i : order) {
      PAILFS_ASSIGN(const std::vector<Entry> entries, entries_of(expected[i], height == 1));
      PAILFS_TRY(height == 1 ? leaf(expected[i], entries) : branch(expected[i], entries, below[i]));
    }
    if (height == 1) return {};
    std::vector<Expected> slab;
    for (std::vector<Expected>& children : below) {
      if (slab.size() + children.size() > kSlab) PAILFS_TRY(level(std::exchange(slab, {}), height - 1));
      std::ranges::move(children, std::back_inserter(slab));
      children = {};
    }
    return slab.empty() ? Status{} : level(std::move(slab), height - 1);
  }

  // The entries of a page, which fill it from its upper bound on without a gap, each in order and in its place.
  Result<std::vector<Entry>> entries_of(const Expected& expected, bool is_leaf) {
    const uint64_t page = expected.page;
    PAILFS_TRY(read(page, 0, buffer_));
    const std::string_view bytes = buffer_;
    if (field<uint64_t>(bytes, 0) != page) return damaged(page, "says that it is another");
    if (field<uint16_t>(bytes, kPageFlagsAt) != (is_leaf ? kLeaf : kBranch)) return damaged(page, "is of another kind");
    const size_t lower = field<uint16_t>(bytes, kLowerAt);
    const size_t upper = field<uint16_t>(bytes, kUpperAt);
    if (lower <= kPageHeader || lower % 2 != 0 || lower > upper || upper > bytes.size()) {
      return damaged(page, "its bounds make no sense");
    }
    std::vector<Entry> entries;
    std::vector<std::pair<size_t, size_t>> places;
    for (size_t at = kPageHeader; at < lower; at += 2) {
      const size_t begin = field<uint16_t>(bytes, at);
      size_t end = 0;
      PAILFS_ASSIGN(const Entry entry, entry_at(page, bytes, begin, is_leaf, end));
      entries.push_back(entry);
      places.emplace_back(begin, end);
    }
    std::ranges::sort(places);
    size_t filled = upper;
    for (const auto& [begin, end] : places) {
      if (begin != filled) return damaged(page, "its entries overlap, or leave a gap");
      filled = end;
    }
    if (filled != bytes.size()) return damaged(page, "its entries end too early");
    PAILFS_TRY(check_order(expected, entries, is_leaf));
    return entries;
  }

  Result<Entry> entry_at(uint64_t page, std::string_view bytes, size_t begin, bool is_leaf, size_t& end) const {
    const auto wrong = [&] { return damaged(page, fmt::format("an entry at {} makes no sense", begin)); };
    if (begin < kPageHeader || begin + kEntryHeader > bytes.size()) return wrong();
    const uint32_t low = field<uint32_t>(bytes, begin);
    const uint16_t flags = field<uint16_t>(bytes, begin + 4);
    const size_t key_size = field<uint16_t>(bytes, begin + 6);
    Entry entry;
    size_t stored = 0;
    if (is_leaf) {
      if ((flags & ~kBigValue) != 0 || key_size == 0 || key_size > kMaxIndexKey) return wrong();
      entry.size = low;
      entry.big = flags == kBigValue;
      stored = entry.big ? sizeof(uint64_t) : entry.size;
    } else {
      entry.child = low | uint64_t{flags} << 32;
    }
    end = begin + kEntryHeader + key_size + stored;
    end += end % 2;
    if (stored > bytes.size() || end > bytes.size()) return wrong();
    entry.key = bytes.substr(begin + kEntryHeader, key_size);
    entry.value = bytes.substr(begin + kEntryHeader + key_size, stored);
    return entry;
  }

  // Keys of the free list are numbers of transactions.
  bool before(std::string_view a, std::string_view b) const {
    return free_list_ ? field<uint64_t>(a, 0) < field<uint64_t>(b, 0) : a < b;
  }

  Status check_order(const Expected& expected, const std::vector<Entry>& entries, bool is_leaf) const {
    // The first key of a branch is none: its child has whatever is below the second one.
    for (size_t i = is_leaf ? 0 : 1; i < entries.size(); ++i) {
      const std::string_view key = entries[i].key;
      if (free_list_ && key.size() != sizeof(uint64_t)) return damaged(expected.page, "a key of another size");
      const bool first = i == (is_leaf ? 0U : 1U);
      const bool ordered =
          first ? expected.from.empty() || !before(key, expected.from) : before(entries[i - 1].key, key);
      if (!ordered || (expected.end && !before(key, *expected.end))) {
        return damaged(expected.page, "a key is out of order");
      }
    }
    return {};
  }

  Status branch(const Expected& expected, const std::vector<Entry>& entries, std::vector<Expected>& children) {
    ++counted_.branch_pages;
    if (entries.size() < 2 && !free_list_) return damaged(expected.page, "leads to one page only");
    for (size_t i = 0; i < entries.size(); ++i) {
      PAILFS_TRY(use(entries[i].child, 1, expected.page));
      Expected child{.page = entries[i].child, .from = expected.from, .end = expected.end};
      if (i > 0) child.from = entries[i].key;
      if (i + 1 < entries.size()) child.end = entries[i + 1].key;
      children.push_back(std::move(child));
    }
    return {};
  }

  Status leaf(const Expected& expected, const std::vector<Entry>& entries) {
    ++counted_.leaf_pages;
    counted_.entries += entries.size();
    for (const Entry& entry : entries) {
      if (!free_list_ && entry.size > kMaxIndexValue) return damaged(expected.page, "a value is too long");
      if (entry.big) PAILFS_TRY(long_value(expected.page, field<uint64_t>(entry.value, 0), entry.size));
      if (free_list_ && field<uint64_t>(entry.key, 0) > meta_.transaction) {
        return damaged(expected.page, "pages were freed in the future");
      }
      if (free_list_ && !entry.big) PAILFS_TRY(free_pages(expected.page, entry.value));
    }
    return {};
  }

  Status long_value(uint64_t said_by, uint64_t first, uint64_t size) {
    const uint64_t needed = (kPageHeader - 1 + size) / meta_.page_size + 1;
    PAILFS_TRY(use(first, 1, said_by));
    std::string header(kPageHeader, '\0');
    PAILFS_TRY(read(first, 0, header));
    const uint64_t count = field<uint32_t>(header, kPagesAt);
    if (field<uint64_t>(header, 0) != first || field<uint16_t>(header, kPageFlagsAt) != kOverflow || count < needed) {
      return damaged(first, "is no long value, or a shorter one");
    }
    PAILFS_TRY(use(first + 1, count - 1, first));
    counted_.overflow_pages += count;
    if (!free_list_) return {};
    std::string list(size, '\0');
    PAILFS_TRY(read(first, kPageHeader, list));
    return free_pages(first, list);
  }

  // A count, then page numbers, descending.
  Status free_pages(uint64_t page, std::string_view list) {
    if (list.size() < 8 || field<uint64_t>(list, 0) != list.size() / 8 - 1 || list.size() % 8 != 0) {
      return damaged(page, "a list of free pages is of another length than it says");
    }
    uint64_t last = kNoPage;
    for (size_t at = 8; at < list.size(); at += 8) {
      const auto free = field<uint64_t>(list, at);
      if (free >= last) return damaged(page, "a list of free pages is out of order");
      PAILFS_TRY(use_free(free, page));
      last = free;
    }
    return {};
  }

  const int fd_;
  const std::string& path_;
  const LmdbMeta& meta_;
  std::string buffer_;                        // the page that is looked at
  std::vector<bool> used_;                    // pages of the file, by a tree or as free
  std::unordered_set<uint64_t> free_behind_;  // the end of the file
  LmdbTree counted_;
  bool free_list_ = false;  // the one that is walked
};

}  // namespace

Status check_lmdb_pages(const std::string& path, const LmdbMeta& meta) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(system_error(errno, "opening " + path));
  struct stat attributes = {};
  Status checked;
  if (::fstat(fd, &attributes) != 0) {
    checked = std::unexpected(system_error(errno, "reading " + path));
  } else {
    checked = PageWalk(fd, static_cast<uint64_t>(attributes.st_size) / meta.page_size, path, meta).run();
  }
  ::close(fd);
  return checked;
}

}  // namespace pailfs
