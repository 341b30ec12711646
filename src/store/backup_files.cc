#include "store/backup_files.h"

#include <fmt/format.h>

#include <algorithm>

namespace pailfs {

namespace {
constexpr size_t kPiece = size_t{4} << 20;
constexpr size_t kBlock = 4096;
constexpr size_t kLeastHeader = 64;
}  // namespace

Result<uint64_t> BackupCopier::missing(const BackupItem& item) {
  PAILFS_ASSIGN(const uint64_t there, usable(item));
  return item.length - there;
}

Status BackupCopier::copy(const BackupItem& item) {
  PAILFS_ASSIGN(uint64_t at, usable(item));
  // An empty file is one too: a crash leaves such, and the ones that follow on it count it.
  if (at == item.length && at > 0) return {};
  const std::string source = from_ + item.name;
  const std::string target = to_ + item.name;
  PAILFS_ASSIGN(const auto in, env_.open(source, OpenMode::kRead));
  // What is copied from the start appears when it is whole.
  const std::string place = at == 0 ? target + ".part" : target;
  if (at == 0) (void)env_.remove(place);
  PAILFS_ASSIGN(const auto out, env_.open(place, at == 0 ? OpenMode::kCreate : OpenMode::kReadWrite));
  std::string piece(kPiece, '\0');
  while (at < item.length) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(kPiece - at % kPiece, item.length - at));
    PAILFS_ASSIGN(const size_t got, in->read_at(at, std::span(piece).first(wanted)));
    if (got != wanted) return fail(Code::kCorrupt, fmt::format("{} is shorter than it should be", source));
    PAILFS_TRY(write(*out, at, std::string_view(piece).substr(0, wanted)));
    at += wanted;
    copied_ += wanted;
    if (progress_ && !progress_(copied_, total_)) {
      return fail(Code::kInterrupted, "stopped before it was finished; run it again to go on");
    }
  }
  PAILFS_TRY(out->truncate(item.length));
  PAILFS_TRY(out->sync_data());
  return place == target ? Status{} : env_.rename(place, target);
}

// How much of the target is there already and the same. A segment that begins alike was copied from this file: its salt
// is in the first bytes, and what is written once never changes. Files of the index copy are read whole: they are
// small, and one damaged byte makes all that follows useless.
Result<uint64_t> BackupCopier::usable(const BackupItem& item) {
  const auto target = env_.open(to_ + item.name, OpenMode::kRead);
  if (!target) return target.error().code == Code::kNotFound ? Result<uint64_t>(0) : std::unexpected(target.error());
  PAILFS_ASSIGN(const uint64_t size, (*target)->size());
  PAILFS_ASSIGN(const auto source, env_.open(from_ + item.name, OpenMode::kRead));
  const bool segment = item.name.ends_with(".seg");
  if (size < kLeastHeader || item.length < kLeastHeader) return 0;
  if (size > item.length && !(segment && keep_longer_)) return 0;
  const uint64_t there = std::min(size, item.length);
  PAILFS_ASSIGN(const bool alike, same(*source, **target, segment ? std::min<uint64_t>(there, kBlock) : there));
  return alike ? there : 0;
}

// Whether both begin with the same `length` bytes.
Result<bool> BackupCopier::same(File& ours, File& theirs, uint64_t length) {
  std::string one(static_cast<size_t>(std::min<uint64_t>(length, kPiece)), '\0');
  std::string other = one;
  for (uint64_t at = 0; at < length;) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(one.size(), length - at));
    PAILFS_ASSIGN(const size_t got, ours.read_at(at, std::span(one).first(wanted)));
    PAILFS_ASSIGN(const size_t there, theirs.read_at(at, std::span(other).first(wanted)));
    if (got != wanted || there != wanted || one.compare(0, wanted, other, 0, wanted) != 0) return false;
    at += wanted;
  }
  return true;
}

// Blocks of zeros are left out: a hole here is a hole there.
Status BackupCopier::write(File& out, uint64_t at, std::string_view bytes) {
  size_t begin = 0;
  const auto zeros = [&](size_t from) {
    return bytes.substr(from, kBlock).find_first_not_of('\0') == std::string_view::npos;
  };
  while (begin < bytes.size()) {
    if (zeros(begin)) {
      begin += kBlock;
      continue;
    }
    size_t end = begin;
    while (end < bytes.size() && !zeros(end)) end += kBlock;
    PAILFS_TRY(out.write_at(at + begin, bytes.substr(begin, end - begin)));
    begin = end;
  }
  return {};
}

}  // namespace pailfs
