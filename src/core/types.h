// The words of the model that every door uses.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace pailfs {

// Inode numbers: the bucket's number in the high bits, a number within the bucket below; never reused. The store's root
// directory is 1 (bucket 0). Numbers with the top bit set name places in the .versions view and live as long as the
// kernel remembers them. Below 2^53 for the first 2047 buckets, for programs that hold them in a double.
using Ino = uint64_t;
inline constexpr Ino kRootIno = 1;
inline constexpr unsigned kBucketShift = 42;
inline constexpr Ino kVirtualBit = Ino{1} << 63;
inline constexpr bool is_virtual(Ino ino) { return (ino & kVirtualBit) != 0; }
inline constexpr Scope bucket_of(Ino ino) { return static_cast<Scope>((ino & ~kVirtualBit) >> kBucketShift); }
inline constexpr Ino bucket_root(Scope bucket) { return (Ino{bucket} << kBucketShift) + 1; }

inline constexpr size_t kNameMax = 255;         // bytes, NAME_MAX
inline constexpr size_t kSymlinkMax = 4095;     // bytes, PATH_MAX - 1
inline constexpr size_t kXattrNameMax = 255;    // bytes, XATTR_NAME_MAX
inline constexpr size_t kXattrSizeMax = 65536;  // bytes, XATTR_SIZE_MAX
inline constexpr uint32_t kLinkMax = 1u << 30;
inline constexpr uint64_t kMaxFileSize = uint64_t{1} << 60;

// Nanoseconds since 1970. Stamps are times that never repeat and never go back in one store: they order history.
using Time = int64_t;
using Stamp = int64_t;
inline constexpr Time kSecond = 1'000'000'000;

struct Acl;  // acl.h

// Whether a name in .versions goes on leading where it led, until Core::observe_removals() says otherwise.
enum class NameLasts : uint8_t {
  kNo,
  kForCaller,  // others may not see it, or may see something else
  kForAll,     // for everybody, while no directory's rights change
};

struct Attributes {
  Ino ino = 0;
  uint32_t mode = 0;  // type and permission bits, as st_mode
  uint32_t nlink = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t rdev = 0;
  uint64_t size = 0;    // bytes
  uint64_t blocks = 0;  // 512-byte units
  Time atime = 0;
  Time mtime = 0;
  Time ctime = 0;
  Time btime = 0;
  std::shared_ptr<const Acl> acl = nullptr;  // null: the mode says everything
  // What may be kept of places in .versions: the attributes, which never change, and the name that was looked up.
  bool fixed = false;
  NameLasts name = NameLasts::kNo;
};

// Where a request came from.
enum class Door : uint8_t { kFuse = 1, kControl = 2, kInternal = 3 };

// The supplementary groups of the process that asks. Asked only when they can decide, at most once per request.
class GroupSource {
 public:
  virtual ~GroupSource() = default;
  virtual const std::vector<uint32_t>& groups() = 0;
  // Whether they could be read: false where the process has ended, or cannot be seen from here.
  virtual bool known() { return true; }
};

struct Principal;  // principals.h

// Who asks. Cached writes of the kernel carry no caller: rights are bound to handles at open.
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
  uint32_t umask = 0;  // for what the caller makes where the directory has no default ACL
  Door door = Door::kFuse;
  GroupSource* groups = nullptr;  // may be null: no supplementary groups
  // Who that is to policies, for the whole request: Gate::know() finds it out, before any lock is taken.
  std::shared_ptr<const Principal> principal = nullptr;
  bool principal_known = false;
};

// 128 bits that sort by time: 48 bits of milliseconds, 80 random ones. Shown as 26 characters of Crockford's base 32.
using VersionId = std::array<char, 16>;
std::string format_version_id(const VersionId& id);
std::optional<VersionId> parse_version_id(std::string_view text);

enum class Versioning : uint8_t { kOff = 0, kEnabled = 1, kSuspended = 2 };
std::string_view versioning_name(Versioning state);  // "off", "enabled", "suspended"

// What keeps noncurrent versions from piling up: in the background those go that are both older than so many days and
// not among the newest so many of their object (Amazon S3 user guide, "Lifecycle configuration elements",
// NoncurrentVersionExpiration). Without either: none goes.
struct KeepRule {
  std::optional<uint32_t> days;   // since they ceased to be current
  std::optional<uint32_t> count;  // of each object, the newest
  bool operator==(const KeepRule&) const = default;
};

// A name that somebody typed, for people to read: nothing that a terminal would act on, or that is not seen. Text in
// UTF-8 (RFC 3629) stays as it is; other bytes, control and format characters are written as \xHH.
std::string printable(std::string_view name);

}  // namespace pailfs
