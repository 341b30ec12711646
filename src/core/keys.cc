// Keys of the index records, and the rules for names of buckets.
#include <algorithm>
#include <array>

#include "base/codec.h"
#include "core/records.h"

namespace pailfs {
namespace keys {

std::string numbered(char kind, uint64_t number) {
  Encoder out;
  out.u8(static_cast<uint8_t>(kind));
  out.be64(number);
  return out.take();
}

std::string bucket(Scope number) {
  Encoder out;
  out.u8('b');
  out.be32(number);
  return out.take();
}

std::string bucket_policy(Scope number) {
  Encoder out;
  out.u8('p');
  out.be32(number);
  return out.take();
}

std::string dirent(Ino parent, uint64_t slot) {
  Encoder out;
  out.u8('d');
  out.be64(parent);
  out.be64(slot);
  return out.take();
}

std::string ended(Ino parent, uint64_t slot, Stamp end) {
  Encoder out;
  out.u8('h');
  out.be64(parent);
  out.be64(slot);
  out.be64(static_cast<uint64_t>(end));
  return out.take();
}

std::string parent_pointer(Ino ino, Ino parent, uint64_t slot) {
  Encoder out;
  out.u8('w');
  out.be64(ino);
  out.be64(parent);
  out.be64(slot);
  return out.take();
}

std::optional<Ino> inode_of_parent_pointer(std::string_view key) {
  Decoder in(key);
  if (in.u8() != 'w') return std::nullopt;
  return in.be64();
}

std::string inode(Ino ino) { return numbered('i', ino); }

std::string version(Ino ino, uint32_t vseq) {
  Encoder out;
  out.u8('v');
  out.be64(ino);
  out.be32(vseq);
  return out.take();
}

std::string shared(uint64_t segment, uint64_t offset) {
  Encoder out;
  out.u8('s');
  out.be64(segment);
  out.be64(offset);
  return out.take();
}

std::string chunk(Ino cid, uint64_t chunk, uint32_t vseq) {
  Encoder out;
  out.u8('c');
  out.be64(cid);
  out.be64(chunk);
  out.be32(vseq);
  return out.take();
}

std::string identities() { return "u"; }
std::string identity(uint8_t kind, std::string_view token) {
  std::string out = identities();
  out.push_back(static_cast<char>(kind));
  return out.append(token);
}

std::string xattr(Ino ino, std::string_view token) { return numbered('x', ino).append(token); }

std::string past_inode(Ino ino, Stamp end) {
  Encoder out;
  out.u8('a');
  out.be64(ino);
  out.be64(static_cast<uint64_t>(end));
  return out.take();
}

std::string past_xattr(Ino ino, std::string_view token, Stamp end) {
  Encoder out;
  out.u8('y');
  out.be64(ino);
  out.raw(token);
  out.be64(static_cast<uint64_t>(end));
  return out.take();
}

std::string orphan(Ino ino) { return numbered('o', ino); }

std::string numbers(Scope bucket) {
  Encoder out;
  out.u8('n');
  out.be32(bucket);
  return out.take();
}

std::string stamps() { return std::string("m\0", 2); }
std::string retention_clock() { return std::string("r\0", 2); }
std::string mfa_device() { return std::string("t\0", 2); }
std::string public_access() { return std::string("k\0", 2); }

std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

}  // namespace keys

Stamp end_of_past(std::string_view key) {
  return static_cast<Stamp>(Decoder(key.substr(key.size() - sizeof(uint64_t))).be64());
}

namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Four groups of one to three digits: what reads as an IPv4 address.
bool looks_like_ipv4(std::string_view name) {
  int groups = 1;
  size_t digits = 0;
  for (const char c : name) {
    if (c == '.') {
      if (digits == 0) return false;
      ++groups;
      digits = 0;
    } else if (c >= '0' && c <= '9' && digits < 3) {
      ++digits;
    } else {
      return false;
    }
  }
  return groups == 4 && digits > 0;
}

constexpr std::array<std::string_view, 3> kReservedPrefixes = {"xn--", "sthree-", "amzn-s3-demo-"};
constexpr std::array<std::string_view, 5> kReservedSuffixes = {"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"};

}  // namespace

Status check_bucket_name(std::string_view name) {
  const auto invalid = [](std::string_view rule) {
    return fail(Code::kInvalid, "not a valid bucket name: " + std::string(rule));
  };
  if (name.size() < 3 || name.size() > 63) return invalid("it must have 3 to 63 characters");
  if (!std::ranges::all_of(name, [](char c) { return lower_or_digit(c) || c == '.' || c == '-'; })) {
    return invalid("only lower-case letters, digits, dots and hyphens are allowed");
  }
  if (!lower_or_digit(name.front()) || !lower_or_digit(name.back())) {
    return invalid("it must begin and end with a letter or digit");
  }
  if (name.find("..") != std::string_view::npos) return invalid("two dots must not be adjacent");
  if (looks_like_ipv4(name)) return invalid("it must not be formatted as an IP address");
  for (const std::string_view prefix : kReservedPrefixes) {
    if (name.starts_with(prefix)) return invalid("the prefix " + std::string(prefix) + " is reserved");
  }
  for (const std::string_view suffix : kReservedSuffixes) {
    if (name.ends_with(suffix)) return invalid("the suffix " + std::string(suffix) + " is reserved");
  }
  return {};
}

}  // namespace pailfs
