#include "core/identity.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/codec.h"
#include "base/logging.h"
#include "core/tags.h"

namespace pailfs {

namespace {

constexpr uint8_t kFormat = 1, kFormatOfShrunk = 2;  // the second ends with last_version

std::unexpected<Error> invalid(const Identity& identity, std::string_view what) {
  return fail(Code::kInvalid,
              fmt::format("{} {}: {}", identity_kind_name(identity.kind), printable(identity.name), what));
}

// "backup.example", as the Principal element has it below "Service".
bool is_service_name(std::string_view name) {
  return name.size() <= 128 && name.contains('.') && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
         });
}

bool is_cgroup(std::string_view path) {
  return !path.empty() && path.size() < 4096 && !path.starts_with('/') && !path.ends_with('/') &&
         !path.contains("//") && !path.contains("..");
}

// Units of the system's manager are in slices alone. What is below anything else was made by whom that is delegated to:
// a user's own manager lets him name units as he likes.
bool is_in_unit(std::string_view path, std::string_view unit) {
  for (;;) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (part == unit) return true;
    if (!part.ends_with(".slice") || part.size() == path.size()) return false;
    path.remove_prefix(part.size() + 1);
  }
}

Status check_parts(const Identity& identity) {
  const IdentityKind kind = identity.kind;
  const bool principal = kind == IdentityKind::kUser || kind == IdentityKind::kRole;
  if (!identity.tags.empty() && !principal) return invalid(identity, "only users and roles have tags");
  if (identity.tags.size() > kMaxTags) return invalid(identity, fmt::format("at most {} tags", kMaxTags));
  for (const auto& [key, value] : identity.tags) {
    if (!is_tag(key, value)) {
      return invalid(identity, fmt::format("{}={} is no tag: letters, digits, spaces and _.:/=+-@", printable(key),
                                           printable(value)));
    }
  }
  if (!identity.boundary.empty() && !principal) return invalid(identity, "only users and roles have a boundary");
  for (const auto& [name, policy] : identity.inlined) {
    if (!is_iam_name(name)) return invalid(identity, fmt::format("{} is no name of a policy", printable(name)));
  }
  for (const std::string& path : identity.cgroups) {
    if (!is_cgroup(path)) {
      return invalid(identity, fmt::format("{} is no unit and no control group: write restic.service, or a path below "
                                           "/sys/fs/cgroup such as system.slice/restic.service",
                                           printable(path)));
    }
  }
  return {};
}

}  // namespace

std::string_view identity_kind_name(IdentityKind kind) {
  switch (kind) {
    case IdentityKind::kUser:
      return "user";
    case IdentityKind::kGroup:
      return "group";
    case IdentityKind::kRole:
      return "role";
    case IdentityKind::kService:
      return "service";
    case IdentityKind::kManagedPolicy:
      return "managed policy";
  }
  return "";
}

bool is_iam_name(std::string_view name) {
  constexpr std::string_view kOthers = "_+=,.@-";
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kOthers.contains(c);
  });
}

bool runs_in(const Identity& service, const std::vector<std::string>& cgroups) {
  return std::ranges::any_of(service.cgroups, [&](const std::string& named) {
    return std::ranges::any_of(cgroups, [&](const std::string& path) {
      if (!named.contains('/')) return is_in_unit(path, named);
      return path == named || path.starts_with(named + "/");
    });
  });
}

Status check_identity(const Identity& identity) {
  if (identity.kind == IdentityKind::kService) {
    if (!is_service_name(identity.name)) {
      return invalid(identity, "a service is named like backup.example: letters, digits, hyphens and at least one dot");
    }
    if (identity.cgroups.empty()) return invalid(identity, "it runs nowhere: name a unit or a control group");
  } else if (!is_iam_name(identity.name)) {
    return invalid(identity, "a name has 1 to 64 of the characters a-z, A-Z, 0-9 and _+=,.@-");
  }
  if (identity.kind == IdentityKind::kRole) {
    if (identity.trust == nullptr) return invalid(identity, "it needs a trust policy, which says who may assume it");
    if (identity.max_session < kMinSession || identity.max_session > kMaxSession) {
      return invalid(identity, "a session lasts from 15 minutes to 12 hours at most");
    }
  }
  if (identity.kind == IdentityKind::kManagedPolicy) {
    if (identity.versions.size() > kMaxVersions) {
      return invalid(identity, fmt::format("it has {} versions already: delete one", kMaxVersions));
    }
    if (!identity.versions.contains(identity.default_version)) return invalid(identity, "there is no such version");
  }
  return check_parts(identity);
}

std::string encode_identity(const Identity& identity) {
  Encoder out;
  const auto list = [&out](const std::vector<std::string>& texts) {
    out.varint(texts.size());
    for (const std::string& text : texts) out.bytes(text);
  };
  const uint32_t last = identity.next_version() - 1;
  const bool shrunk = last != 0 && !identity.versions.contains(last);
  out.u8(shrunk ? kFormatOfShrunk : kFormat);
  out.u8(static_cast<uint8_t>(identity.kind));
  out.bytes(identity.name);
  out.varint(identity.numbers.size());
  for (const uint32_t number : identity.numbers) out.varint(number);
  list(identity.groups);
  out.varint(identity.inlined.size());
  for (const auto& [name, policy] : identity.inlined) {
    out.bytes(name);
    out.bytes(policy->text);
  }
  list(identity.attached);
  out.bytes(identity.boundary);
  out.varint(identity.tags.size());
  for (const auto& [key, value] : identity.tags) {
    out.bytes(key);
    out.bytes(value);
  }
  out.bytes(identity.trust == nullptr ? std::string_view() : identity.trust->text);
  out.varint(identity.max_session);
  list(identity.cgroups);
  out.varint(identity.versions.size());
  for (const auto& [number, version] : identity.versions) {
    out.varint(number);
    out.i64(version.created);
    out.bytes(version.policy->text);
  }
  out.varint(identity.default_version);
  if (shrunk) out.varint(last);
  return out.take();
}

namespace {

class IdentityReader {
 public:
  explicit IdentityReader(std::string_view value) : in_(value) {}

  Result<Identity> read() {
    const uint8_t format = in_.u8();
    if (format != kFormat && format != kFormatOfShrunk) return malformed();
    const uint8_t kind = in_.u8();
    if (kind < 1 || kind > 5) return malformed();
    out_.kind = static_cast<IdentityKind>(kind);
    out_.name = in_.bytes();
    repeat([&] { out_.numbers.push_back(number()); });
    repeat([&] { out_.groups.emplace_back(in_.bytes()); });
    repeat([&] {
      std::string name(in_.bytes());
      follows(out_.inlined, name);
      out_.inlined[std::move(name)] = policy(policy::DocumentKind::kIdentity);
    });
    repeat([&] { out_.attached.emplace_back(in_.bytes()); });
    out_.boundary = in_.bytes();
    repeat([&] {
      std::string key(in_.bytes());
      follows(out_.tags, key);
      out_.tags[std::move(key)] = in_.bytes();
    });
    read_role();
    repeat([&] { out_.cgroups.emplace_back(in_.bytes()); });
    repeat([&] {
      const uint32_t version = number();
      const Time created = in_.i64();
      follows(out_.versions, version);
      out_.versions[version] = {created, policy(policy::DocumentKind::kBoundary)};
    });
    out_.default_version = number();
    if (format == kFormatOfShrunk) {
      out_.last_version = number();
      sound_ = sound_ && !out_.versions.empty() && out_.versions.rbegin()->first < out_.last_version;
    }
    if (!in_.done() || !sound_ || !check_identity(out_)) return malformed();
    return std::move(out_);
  }

 private:
  static std::unexpected<Error> malformed() {
    return fail(Code::kCorrupt, "the record of a user, group, role, service or managed policy does not parse");
  }

  template <class Read>
  void repeat(const Read& read) {
    for (uint64_t count = in_.varint(); count > 0 && in_.ok(); --count) read();
  }
  // Each key once and in order, so that no two records mean the same.
  template <class Map>
  void follows(const Map& before, const typename Map::key_type& key) {
    sound_ = sound_ && (before.empty() || before.rbegin()->first < key);
  }
  uint32_t number() {
    const uint64_t value = in_.varint();
    sound_ = sound_ && value <= ~uint32_t{0};
    return static_cast<uint32_t>(value);
  }
  void read_role() {
    const bool role = out_.kind == IdentityKind::kRole;
    if (role) {
      out_.trust = policy(policy::DocumentKind::kTrust);
    } else if (!in_.bytes().empty()) {
      sound_ = false;  // nobody else has one
    }
    out_.max_session = number();
  }
  StoredPolicyPtr policy(policy::DocumentKind kind) {
    std::string text(in_.bytes());
    std::string why;
    StoredPolicyPtr policy = read_policy(std::move(text), kind, why);
    if (policy->document == nullptr && in_.ok()) {
      log_error("a policy of {} {} cannot be read ({}): who goes by it is denied everything",
                identity_kind_name(out_.kind), printable(out_.name), why);
    }
    return policy;
  }

  Decoder in_;
  Identity out_;
  bool sound_ = true;
};

}  // namespace

Result<Identity> decode_identity(std::string_view value) { return IdentityReader(value).read(); }

}  // namespace pailfs
