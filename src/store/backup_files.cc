#include "store/backup_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "log/log_storage.h"
#include "store/json.h"

namespace pailfs {

namespace {
constexpr size_t kPiece = size_t{4} << 20;
constexpr size_t kBlock = 4096;
constexpr size_t kLeastHeader = 64;
constexpr size_t kMaxList = size_t{256} << 20;
constexpr std::string_view kListPrefix = "files.";
constexpr std::string_view kPart = ".part";

std::string list_path(const std::string& target, const std::string& id) {
  return fmt::format("{}/{}{}", target, kListPrefix, id);
}
}  // namespace

Status write_backup_list(Env& env, const std::string& target, const std::string& id, const BackupList& list) {
  nlohmann::json files = nlohmann::json::object();
  for (const auto& [name, length] : list.files) files[name] = length;
  const nlohmann::json json = {{"files", std::move(files)}, {"keyring", list.keyring}};
  return env.replace_file(list_path(target, id), json.dump(1) + "\n");
}

Result<BackupList> read_backup_list(Env& env, const std::string& target, const std::string& id) {
  const std::string path = list_path(target, id);
  PAILFS_ASSIGN(const std::string text, env.read_file(path, kMaxList));
  const auto damaged = [&] {
    return fail(Code::kCorrupt, fmt::format("{} is damaged: it is not the list of a backup's files", path));
  };
  const nlohmann::json json = parse_json(text);
  if (!json.is_object() || !json.contains("files") || !json["files"].is_object()) return damaged();
  if (!json.contains("keyring") || !json["keyring"].is_string()) return damaged();
  BackupList list;
  list.keyring = json["keyring"].get<std::string>();
  for (const auto& [name, length] : json["files"].items()) {
    const size_t slash = name.rfind('/');
    const std::string_view directory = std::string_view(name).substr(0, slash == std::string::npos ? 0 : slash);
    const bool known = (directory == "/log" || directory == "/index-copy") && is_backup_name(name.substr(slash + 1));
    if (!known || !length.is_number_unsigned()) return damaged();
    list.files[name] = length.get<uint64_t>();
  }
  return list;
}

Status remove_other_lists(Env& env, const std::string& target, const std::string& id) {
  PAILFS_ASSIGN(const auto names, env.list_dir(target));
  for (const std::string& name : names) {
    if (name.starts_with(kListPrefix) && name != list_path("", id).substr(1)) {
      PAILFS_TRY(env.remove(fmt::format("{}/{}", target, name)));
    }
  }
  return {};
}

bool is_backup_name(std::string_view name) {
  if (name.ends_with(kPart)) name.remove_suffix(kPart.size());
  return parse_segment_name(name) != 0 || name.starts_with("base-") || name.starts_with("journal-");
}

Result<uint64_t> BackupCopier::missing(const BackupItem& item) {
  PAILFS_ASSIGN(const uint64_t there, usable(item));
  return item.length - there;
}

Status BackupCopier::copy(const BackupItem& item) {
  PAILFS_ASSIGN(uint64_t at, usable(item));
  // An empty file is one too: a crash leaves such, and the ones that follow on it count it.
  if (at == item.length && at > 0) return {};
  const std::string source = from_.directory + item.name;
  const std::string target = to_.directory + item.name;
  PAILFS_ASSIGN(const auto in, from_.env.open(source, OpenMode::kRead));
  // What is copied from the start appears when it is whole.
  const std::string place = at == 0 ? target + std::string(kPart) : target;
  if (at == 0) (void)to_.env.remove(place);
  PAILFS_ASSIGN(const auto out, to_.env.open(place, at == 0 ? OpenMode::kCreate : OpenMode::kReadWrite));
  if (at > 0) PAILFS_TRY(out->truncate(at));
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
  return place == target ? Status{} : to_.env.rename(place, target);
}

// How much of a file of this size in the target the power cannot have taken: growing in place shows before it is on the
// medium.
uint64_t BackupCopier::on_medium(const BackupItem& item, uint64_t size) const {
  if (const auto listed = earlier_.files.find(item.name); listed != earlier_.files.end()) {
    return size >= item.length && listed->second >= item.length ? size : std::min(size, listed->second);
  }
  return size >= item.length ? size : 0;
}

// How much of the target is there already and the same. A segment that begins alike was copied from this file: its salt
// is in the first bytes, and what is written once never changes. Files of the index copy are read whole: they are
// small, and one damaged byte makes all that follows useless.
Result<uint64_t> BackupCopier::usable(const BackupItem& item) {
  const auto target = to_.env.open(to_.directory + item.name, OpenMode::kRead);
  const auto is_gone = [](Code code) { return code == Code::kNotFound || code == Code::kIo; };
  if (!target) return is_gone(target.error().code) ? Result<uint64_t>(0) : std::unexpected(target.error());
  PAILFS_ASSIGN(const uint64_t found, (*target)->size());
  const uint64_t size = on_medium(item, found);
  PAILFS_ASSIGN(const auto source, from_.env.open(from_.directory + item.name, OpenMode::kRead));
  const bool segment = item.name.ends_with(".seg");
  if (size < kLeastHeader || item.length < kLeastHeader) return 0;
  if (size > item.length && !(segment && keep_longer_)) return 0;
  const uint64_t there = std::min(size, item.length);
  PAILFS_ASSIGN(const bool alike, same(*source, **target, segment ? std::min<uint64_t>(there, kBlock) : there));
  return alike ? there : 0;
}

// Whether both begin with the same `length` bytes. What the target's disk does not give back is not the same.
Result<bool> BackupCopier::same(File& ours, File& theirs, uint64_t length) {
  std::string one(static_cast<size_t>(std::min<uint64_t>(length, kPiece)), '\0');
  std::string other = one;
  for (uint64_t at = 0; at < length;) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(one.size(), length - at));
    PAILFS_ASSIGN(const size_t got, ours.read_at(at, std::span(one).first(wanted)));
    const auto there = theirs.read_at(at, std::span(other).first(wanted));
    if (!there && there.error().code != Code::kIo) return std::unexpected(there.error());
    if (got != wanted || !there || *there != wanted || one.compare(0, wanted, other, 0, wanted) != 0) return false;
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
