#include "index/lmdb_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/logging.h"

namespace pailfs {

namespace {

// Offsets in a meta page, from mdb.c of LMDB 0.9.24; the file is in the machine's byte order. A page header of 16 bytes
// (page number, pad, flags at 10, bounds), then MDB_meta.
constexpr size_t kMetaBytes = 16 + 136;
constexpr size_t kFlagsAt = 10;
constexpr size_t kMagicAt = 16;
constexpr size_t kVersionAt = 20;
constexpr size_t kFreeTreeAt = 40;  // MDB_db of the free list; its first field is the page size of the file
constexpr size_t kMainTreeAt = 88;  // MDB_db of the only database
constexpr size_t kLastPageAt = 136;
constexpr size_t kTransactionAt = 144;
constexpr size_t kTreeFlagsAt = 4;  // in an MDB_db
constexpr size_t kTreeDepthAt = 6;
constexpr size_t kTreeBranchesAt = 8;
constexpr size_t kTreeLeavesAt = 16;
constexpr size_t kTreeOverflowsAt = 24;
constexpr size_t kTreeEntriesAt = 32;
constexpr size_t kTreeRootAt = 40;

constexpr uint16_t kMetaPage = 0x08;  // P_META
constexpr uint32_t kMagic = 0xBEEFC0DE;
constexpr uint32_t kVersion = 1;
constexpr uint32_t kSmallestPage = 512;
constexpr uint32_t kLargestPage = 32768;                            // MAX_PAGESIZE
constexpr uint16_t kDeepestTree = 32;                               // CURSOR_STACK
constexpr uint64_t kNoPage = std::numeric_limits<uint64_t>::max();  // P_INVALID: the root of an empty tree

using MetaPage = std::array<char, kMetaBytes>;

template <class T>
T field(const MetaPage& page, size_t offset) {
  T value;
  std::memcpy(&value, page.data() + offset, sizeof(value));
  return value;
}

std::unexpected<Error> damaged(const std::string& path, std::string_view what) {
  return fail(Code::kCorrupt, fmt::format("the index file {} is damaged: {}", path, what));
}

Status check_meta(const MetaPage& page, const std::string& path) {
  if ((field<uint16_t>(page, kFlagsAt) & kMetaPage) == 0 || field<uint32_t>(page, kMagicAt) != kMagic) {
    return damaged(path, "a meta page is none of LMDB's");
  }
  if (const auto version = field<uint32_t>(page, kVersionAt); version != kVersion) {
    return damaged(path, fmt::format("LMDB format {}, expected {}", version, kVersion));
  }
  const auto page_size = field<uint32_t>(page, kFreeTreeAt);
  if (!std::has_single_bit(page_size) || page_size < kSmallestPage || page_size > kLargestPage) {
    return damaged(path, fmt::format("page size {}", page_size));
  }
  const auto last_page = field<uint64_t>(page, kLastPageAt);
  if (last_page > (std::numeric_limits<uint64_t>::max() >> 16) / page_size) {
    return damaged(path, fmt::format("last page {}", last_page));
  }
  return {};
}

// Of the meta page that LMDB goes by. The other one may hold anything here: when a meta page could not be written, LMDB
// puts the number and the last page of the old one back into it, beside the roots of the new one.
Status check_trees(const MetaPage& page, const std::string& path) {
  const auto last_page = field<uint64_t>(page, kLastPageAt);
  for (const size_t tree : {kFreeTreeAt, kMainTreeAt}) {
    const auto root = field<uint64_t>(page, tree + kTreeRootAt);
    if (root != kNoPage && (root < 2 || root > last_page)) return damaged(path, fmt::format("a tree's root {}", root));
    const auto depth = field<uint16_t>(page, tree + kTreeDepthAt);
    if (depth > kDeepestTree) return damaged(path, fmt::format("a tree of depth {}", depth));
  }
  if (field<uint16_t>(page, kMainTreeAt + kTreeFlagsAt) != 0) return damaged(path, "the database has flags of others");
  return {};
}

LmdbTree tree_at(const MetaPage& page, size_t at) {
  return {.depth = field<uint16_t>(page, at + kTreeDepthAt),
          .branch_pages = field<uint64_t>(page, at + kTreeBranchesAt),
          .leaf_pages = field<uint64_t>(page, at + kTreeLeavesAt),
          .overflow_pages = field<uint64_t>(page, at + kTreeOverflowsAt),
          .entries = field<uint64_t>(page, at + kTreeEntriesAt),
          .root = field<uint64_t>(page, at + kTreeRootAt)};
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Result<MetaPage> read_meta(int fd, off_t offset, const std::string& path) {
  MetaPage page;
  ssize_t n;
  do {
    n = ::pread(fd, page.data(), page.size(), offset);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return std::unexpected(system_error(errno, "reading " + path));
  if (static_cast<size_t>(n) != page.size()) return damaged(path, "it ends inside the meta pages");
  return page;
}

}  // namespace

Result<std::optional<LmdbMeta>> check_lmdb_file(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    if (errno == ENOENT) return std::nullopt;
    return std::unexpected(system_error(errno, "opening " + path));
  }
  struct stat attributes = {};
  if (::fstat(file.fd, &attributes) != 0) return std::unexpected(system_error(errno, "reading " + path));
  if (!S_ISREG(attributes.st_mode)) return damaged(path, "it is no regular file");
  if (attributes.st_size == 0) return std::nullopt;
  PAILFS_ASSIGN(const MetaPage first, read_meta(file.fd, 0, path));
  PAILFS_TRY(check_meta(first, path));
  const auto page_size = field<uint32_t>(first, kFreeTreeAt);
  PAILFS_ASSIGN(const MetaPage second, read_meta(file.fd, page_size, path));
  PAILFS_TRY(check_meta(second, path));
  if (field<uint32_t>(second, kFreeTreeAt) != page_size) return damaged(path, "its meta pages differ in page size");
  const bool newer = field<uint64_t>(second, kTransactionAt) > field<uint64_t>(first, kTransactionAt);
  const MetaPage& newest = newer ? second : first;
  PAILFS_TRY(check_trees(newest, path));
  return LmdbMeta{.page_size = page_size,
                  .last_page = field<uint64_t>(newest, kLastPageAt),
                  .transaction = field<uint64_t>(newest, kTransactionAt),
                  .free_tree = tree_at(newest, kFreeTreeAt),
                  .main_tree = tree_at(newest, kMainTreeAt)};
}

Status extend_lmdb_file(int descriptor, uint64_t size, const std::string& path) {
  struct stat attributes = {};
  if (::fstat(descriptor, &attributes) != 0) return std::unexpected(system_error(errno, "reading " + path));
  const auto actual = static_cast<uint64_t>(attributes.st_size);
  if (actual >= size) return {};
  log_info("index file {}: {} bytes, its meta pages speak of {}; filling up with zeros", path, actual, size);
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) {
    // EFBIG: no file can be as long as the meta page says.
    if (errno == EFBIG) return damaged(path, fmt::format("it says that it has {} bytes", size));
    return std::unexpected(system_error(errno, "extending " + path));
  }
  return {};
}

}  // namespace pailfs
