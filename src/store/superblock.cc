#include "store/superblock.h"

#include <fmt/format.h>

#include "store/json.h"

namespace pailfs {

namespace {
std::string superblock_path(const std::string& directory) { return directory + "/pailfs.store"; }
}  // namespace

namespace {

constexpr std::string_view kStore = "store";
constexpr std::string_view kBackup = "backup";
constexpr std::string_view kUnfinished = "unfinished";

Result<Superblock> parse(const std::string& directory, const nlohmann::json& json) {
  const std::string path = superblock_path(directory);
  if (!json.contains("format") || !json["format"].is_number_integer()) {
    return fail(Code::kCorrupt, fmt::format("{} is damaged: it is not the superblock of a pailfs store", path));
  }
  const nlohmann::json& format = json["format"];
  if (above(format, kFormat)) {
    return fail(Code::kTooNew, fmt::format("the store {} has format {}, and this pailfs ({}) reads formats up to {}: "
                                           "use a newer pailfs",
                                           directory, format.dump(), PAILFS_VERSION, kFormat));
  }
  if (below(format, 1) || !json.contains("uuid") || !json["uuid"].is_string() || !json.contains("created") ||
      !json["created"].is_number_integer()) {
    return fail(Code::kCorrupt, fmt::format("{} is damaged: format, uuid or created is missing", path));
  }
  Superblock superblock;
  superblock.format = format.get<int>();
  superblock.uuid = json["uuid"].get<std::string>();
  superblock.created = json["created"].get<int64_t>();
  if (json.contains("taken") && json["taken"].is_number_integer()) superblock.taken = json["taken"].get<int64_t>();
  const auto number = [&json](const char* name) -> uint64_t {
    return json.contains(name) && json[name].is_number_unsigned() ? json[name].get<uint64_t>() : 0;
  };
  if (json.contains("id") && json["id"].is_string()) superblock.id = json["id"].get<std::string>();
  superblock.sequence = number("sequence");
  superblock.last_segment = number("last_segment");
  superblock.last_offset = number("last_offset");
  superblock.listed = json.contains("listed") && json["listed"].is_boolean() && json["listed"].get<bool>();
  if (!uuid_bytes(superblock.uuid)) return fail(Code::kCorrupt, fmt::format("{} is damaged: bad uuid", path));
  return superblock;
}

// The file's JSON, or null where it is none; and what it says that it is.
Result<std::pair<nlohmann::json, std::string>> read_kind(Env& env, const std::string& directory) {
  const auto text = env.read_file(superblock_path(directory), 65536);
  if (!text && text.error().code != Code::kTooBig) return std::unexpected(text.error());
  auto json = text ? parse_json(*text) : nlohmann::json();
  std::string kind;
  if (json.is_object() && json.contains("pailfs") && json["pailfs"].is_string())
    kind = json["pailfs"].get<std::string>();
  return std::pair(std::move(json), std::move(kind));
}

}  // namespace

Result<Superblock> read_superblock(Env& env, const std::string& directory) {
  auto read = read_kind(env, directory);
  if (!read && read.error().code == Code::kNotFound) {
    return fail(Code::kNotFound, fmt::format("{} is not a pailfs store (it has no file pailfs.store): make one with "
                                             "'pail init {}'",
                                             directory, directory));
  }
  if (!read) return std::unexpected(read.error());
  const auto& [json, kind] = *read;
  if (kind == kBackup) {
    return fail(Code::kNotFound,
                fmt::format("{} is the backup of a store: make a store of it with 'pail restore {} STORE'", directory,
                            directory));
  }
  if (kind == kUnfinished) {
    return fail(Code::kNotFound, fmt::format("{} was to become a store, and making it was cut off: run 'pail init {}' "
                                             "again",
                                             directory, directory));
  }
  if (kind != kStore) {
    return fail(Code::kCorrupt,
                fmt::format("{} is damaged: it is not the superblock of a pailfs store", superblock_path(directory)));
  }
  return parse(directory, json);
}

Status write_superblock(Env& env, const std::string& directory, const Superblock& superblock) {
  const nlohmann::json json = {
      {"pailfs", kStore}, {"format", superblock.format}, {"uuid", superblock.uuid}, {"created", superblock.created}};
  return env.replace_file(superblock_path(directory), json.dump(2) + "\n");
}

Status write_unfinished(Env& env, const std::string& directory) {
  const nlohmann::json json = {{"pailfs", kUnfinished}};
  return env.replace_file(superblock_path(directory), json.dump(2) + "\n");
}

Result<bool> is_unfinished(Env& env, const std::string& directory) {
  PAILFS_ASSIGN(const auto read, read_kind(env, directory));
  return read.second == kUnfinished;
}

Result<std::vector<std::string>> list_store(Env& env, const std::string& directory) {
  PAILFS_ASSIGN(auto names, env.list_dir(directory));
  std::erase(names, "pailfs.store.new");  // Env::replace_file()
  return names;
}

Result<Superblock> read_backup_marker(Env& env, const std::string& directory) {
  const auto read = read_kind(env, directory);
  if (!read && read.error().code != Code::kNotFound) return std::unexpected(read.error());
  if (!read || read->second != kBackup) {
    return fail(Code::kNotFound, fmt::format("{} holds no backup of a pailfs store", directory));
  }
  return parse(directory, read->first);
}

Status write_backup_marker(Env& env, const std::string& directory, const Superblock& superblock) {
  const nlohmann::json json = {{"pailfs", kBackup},
                               {"format", superblock.format},
                               {"uuid", superblock.uuid},
                               {"created", superblock.created},
                               {"taken", superblock.taken},
                               {"id", superblock.id},
                               {"sequence", superblock.sequence},
                               {"last_segment", superblock.last_segment},
                               {"last_offset", superblock.last_offset},
                               {"listed", superblock.listed}};
  return env.replace_file(superblock_path(directory), json.dump(2) + "\n");
}

std::string make_uuid(Env& env) {
  std::string bytes = env.random_bytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

Result<std::string> uuid_bytes(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    if (dash != (c == '-')) return fail(Code::kInvalid, "not a UUID");
    if (dash) continue;
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return fail(Code::kInvalid, "not a UUID");
    digits += c;
  }
  if (digits.size() != 32) return fail(Code::kInvalid, "not a UUID");
  const auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i < 32; i += 2) bytes += static_cast<char>(nibble(digits[i]) << 4 | nibble(digits[i + 1]));
  return bytes;
}

}  // namespace pailfs
