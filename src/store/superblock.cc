#include "store/superblock.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace pailfs {

namespace {
std::string superblock_path(const std::string& directory) { return directory + "/pailfs.store"; }
}  // namespace

Result<Superblock> read_superblock(Env& env, const std::string& directory) {
  const std::string path = superblock_path(directory);
  auto text = env.read_file(path, 65536);
  if (!text) {
    if (text.error().code == Code::kNotFound) {
      return fail(Code::kNotFound, fmt::format("{} is not a pailfs store (it has no file pailfs.store): make one with "
                                               "'pail init {}'",
                                               directory, directory));
    }
    return std::unexpected(text.error());
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || json.value("pailfs", nlohmann::json()) != "store" || !json.contains("format") ||
      !json["format"].is_number_integer()) {
    return fail(Code::kCorrupt, fmt::format("{} is damaged: it is not the superblock of a pailfs store", path));
  }
  Superblock superblock;
  superblock.format = json["format"].get<int>();
  if (superblock.format > kFormat) {
    return fail(Code::kTooNew, fmt::format("the store {} has format {}, and this pailfs ({}) reads formats up to {}: "
                                           "use a newer pailfs",
                                           directory, superblock.format, PAILFS_VERSION, kFormat));
  }
  if (superblock.format < 1 || !json.contains("uuid") || !json["uuid"].is_string() || !json.contains("created") ||
      !json["created"].is_number_integer()) {
    return fail(Code::kCorrupt, fmt::format("{} is damaged: format, uuid or created is missing", path));
  }
  superblock.uuid = json["uuid"].get<std::string>();
  superblock.created = json["created"].get<int64_t>();
  if (!uuid_bytes(superblock.uuid)) return fail(Code::kCorrupt, fmt::format("{} is damaged: bad uuid", path));
  return superblock;
}

Status write_superblock(Env& env, const std::string& directory, const Superblock& superblock) {
  const nlohmann::json json = {
      {"pailfs", "store"}, {"format", superblock.format}, {"uuid", superblock.uuid}, {"created", superblock.created}};
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
