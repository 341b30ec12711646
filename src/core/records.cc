// Encodings of the index records: pailfs-format(5), section "Index records". Each value begins with its format version
// (1). Decoders accept exactly what encoders of that version can produce: a value that verified and does not parse was
// written by a build that knows more, or by a fault in this one, and is kCorrupt rather than guessed at.
#include "core/records.h"

#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "base/codec.h"
#include "core/public_access.h"

namespace pailfs {
namespace {

constexpr uint8_t kFormat = 1;

std::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::kCorrupt, "a record of the index does not parse: " + std::string(what));
}

// A varint that must fit 32 bits; `fits` turns false where it does not.
uint32_t narrow(uint64_t value, bool& fits) {
  if (value > std::numeric_limits<uint32_t>::max()) fits = false;
  return static_cast<uint32_t>(value);
}

bool valid_type(uint32_t type) {
  switch (type) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      return true;
    default:
      return false;
  }
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && name.find('/') == name.npos && name.find('\0') == name.npos;
}

// Differences of times wrap, so that every pair of times has one.
int64_t difference(Time a, Time b) { return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b)); }
Time sum(Time a, int64_t b) { return static_cast<Time>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }

void put_id(Encoder& out, const VersionId& id) { out.raw({id.data(), id.size()}); }

VersionId get_id(Decoder& in) {
  VersionId id{};
  const std::string_view bytes = in.raw(id.size());
  if (bytes.size() == id.size()) bytes.copy(id.data(), id.size());
  return id;
}

// InodeRecord's flags.
constexpr uint8_t kHasXattrs = 1, kChunked = 2, kDirty = 4, kSealed = 8, kNullId = 16, kHasAcl = 32,
                  kHasDefaultAcl = 64, kHasMore = 128;
// What follows where kHasMore is set.
constexpr uint8_t kCeased = 1, kRetention = 2, kLegalHold = 4, kResumed = 8;
// EndedDirent: beside the kind.
constexpr uint8_t kNullMarker = 128;
// BucketRecord's flags; the members behind kBucketMore come in one order.
constexpr uint8_t kDeleting = 1, kBucketMore = 2, kParentPointers = 4, kOwnership = 8, kPublicAccess = 16;
constexpr uint8_t kKeepDays = 1, kKeepCount = 2, kObjectLock = 4, kMfaDelete = 8, kMassDeletion = 16;

Status decode_acls(uint8_t flags, std::string_view acl, std::string_view default_acl, InodeRecord& inode) {
  if ((flags & kHasAcl) != 0) {
    PAILFS_ASSIGN(inode.acl, decode_acl(acl));
    if (acl_is_mode(*inode.acl) || acl_mode(*inode.acl) != (inode.mode & 0777) || S_ISLNK(inode.mode)) {
      return malformed("an inode's ACL");
    }
  }
  if ((flags & kHasDefaultAcl) != 0) {
    PAILFS_ASSIGN(inode.default_acl, decode_acl(default_acl));
    if (!S_ISDIR(inode.mode) || std::ranges::any_of(inode.default_acl->entries, [](const AclEntry& entry) {
          return (entry.permissions & kWriteAcp) != 0;
        })) {
      return malformed("an inode's default ACL");
    }
  }
  return {};
}

}  // namespace

// version, count, then per extent: gap since the extent before, length, skip << 1 | head, segment, offset and length of
// the run; all varints.
std::string encode_extents(const ExtentList& extents) {
  Encoder out;
  out.u8(kFormat);
  out.varint(extents.size());
  uint64_t end = 0;
  for (const Extent& extent : extents) {
    out.varint(extent.offset - end);
    out.varint(extent.length);
    out.varint(uint64_t{extent.skip} << 1 | (extent.run.head ? 1 : 0));
    out.varint(extent.run.segment);
    out.varint(extent.run.offset);
    out.varint(extent.run.length);
    end = uint64_t{extent.offset} + extent.length;
  }
  return out.take();
}

Result<ExtentList> decode_extents(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("extents of an unknown format");
  const uint64_t count = in.varint();
  if (!in.ok() || count > in.remaining() / 6) return malformed("extents");
  ExtentList extents;
  extents.reserve(count);
  uint64_t end = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t gap = in.varint(), length = in.varint(), skip_head = in.varint();
    Extent extent;
    extent.run.segment = in.varint();
    extent.run.offset = in.varint();
    const uint64_t run_length = in.varint(), skip = skip_head >> 1;
    if (!in.ok() || gap > kChunkSize || length == 0 || length > kChunkSize || end + gap + length > kChunkSize ||
        skip >= kUnitSize || run_length > kMaxRun || skip + length > run_length) {
      return malformed("an extent");
    }
    extent.offset = static_cast<uint32_t>(end + gap);
    extent.length = static_cast<uint32_t>(length);
    extent.skip = static_cast<uint32_t>(skip);
    extent.run.length = static_cast<uint32_t>(run_length);
    extent.run.head = (skip_head & 1) != 0;
    end = end + gap + length;
    extents.push_back(extent);
  }
  if (!in.done()) return malformed("extents");
  return extents;
}

// version, flags, mode, nlink, uid, gid, rdev, size, stored; ctime fixed, atime, mtime and btime as differences from
// it; parent, target; cid, vseq, prev, extents (empty: none); when sealed, the version's id and stamp; the ACLs there
// are; where there is more: a byte that says what, when it ceased and resumed, the mode of its retention and until
// when.
std::string encode_inode(const InodeRecord& inode) {
  Encoder out;
  const Retention& retention = inode.retention;
  const auto more =
      static_cast<uint8_t>((inode.ceased != 0 ? kCeased : 0) | (retention.mode != LockMode::kNone ? kRetention : 0) |
                           (retention.legal_hold ? kLegalHold : 0) | (inode.resumed != 0 ? kResumed : 0));
  out.u8(kFormat);
  out.u8(static_cast<uint8_t>((inode.has_xattrs ? kHasXattrs : 0) | (inode.chunked ? kChunked : 0) |
                              (inode.dirty ? kDirty : 0) | (inode.sealed ? kSealed : 0) |
                              (inode.sealed && inode.version.null_id ? kNullId : 0) | (inode.acl ? kHasAcl : 0) |
                              (inode.default_acl ? kHasDefaultAcl : 0) | (more != 0 ? kHasMore : 0)));
  out.varint(inode.mode);
  out.varint(inode.nlink);
  out.varint(inode.uid);
  out.varint(inode.gid);
  out.varint(inode.rdev);
  out.varint(inode.size);
  out.varint(inode.stored);
  out.i64(inode.ctime);
  out.svarint(difference(inode.atime, inode.ctime));
  out.svarint(difference(inode.mtime, inode.ctime));
  out.svarint(difference(inode.btime, inode.ctime));
  out.varint(inode.parent);
  out.bytes(inode.target);
  out.varint(inode.cid);
  out.varint(inode.vseq);
  out.varint(inode.prev);
  out.bytes(inode.extents.empty() ? std::string() : encode_extents(inode.extents));
  if (inode.sealed) {
    put_id(out, inode.version.id);
    out.i64(inode.version.sealed);
  }
  if (inode.acl) out.bytes(encode_acl(*inode.acl));
  if (inode.default_acl) out.bytes(encode_acl(*inode.default_acl));
  if (more != 0) out.u8(more);
  if ((more & kCeased) != 0) out.i64(inode.ceased);
  if ((more & kResumed) != 0) out.i64(inode.resumed);
  if ((more & kRetention) != 0) {
    out.u8(static_cast<uint8_t>(retention.mode));
    out.i64(retention.until);
  }
  return out.take();
}

std::string encode_past_inode(InodeRecord inode) {
  inode.extents.clear();
  return encode_inode(inode);
}

namespace {

// The members behind kHasMore; false: they are not as encode_inode() writes them.
bool get_more(Decoder& in, InodeRecord& inode) {
  const uint8_t more = in.u8();
  if (more == 0 || (more & ~(kCeased | kRetention | kLegalHold | kResumed)) != 0) return false;
  if ((more & kCeased) != 0) {
    inode.ceased = in.i64();
    if (inode.ceased == 0) return false;
  }
  if ((more & kResumed) != 0) {
    inode.resumed = in.i64();
    if (inode.resumed == 0 || inode.ceased == 0) return false;
  }
  if ((more & kRetention) != 0) {
    const uint8_t mode = in.u8();
    if (mode < 1 || mode > 2) return false;
    inode.retention.mode = static_cast<LockMode>(mode);
    inode.retention.until = in.i64();
  }
  inode.retention.legal_hold = (more & kLegalHold) != 0;
  return true;
}

}  // namespace

Result<InodeRecord> decode_inode(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("an inode of an unknown format");
  const uint8_t flags = in.u8();
  InodeRecord inode;
  bool fits = true;
  inode.has_xattrs = (flags & kHasXattrs) != 0;
  inode.chunked = (flags & kChunked) != 0;
  inode.dirty = (flags & kDirty) != 0;
  inode.sealed = (flags & kSealed) != 0;
  inode.version.null_id = (flags & kNullId) != 0;
  inode.mode = narrow(in.varint(), fits);
  inode.nlink = narrow(in.varint(), fits);
  inode.uid = narrow(in.varint(), fits);
  inode.gid = narrow(in.varint(), fits);
  inode.rdev = in.varint();
  inode.size = in.varint();
  inode.stored = in.varint();
  inode.ctime = in.i64();
  inode.atime = sum(inode.ctime, in.svarint());
  inode.mtime = sum(inode.ctime, in.svarint());
  inode.btime = sum(inode.ctime, in.svarint());
  inode.parent = in.varint();
  inode.target = in.bytes();
  inode.cid = in.varint();
  inode.vseq = narrow(in.varint(), fits);
  inode.prev = narrow(in.varint(), fits);
  const std::string_view extents = in.bytes();
  if (inode.sealed) {
    inode.version.id = get_id(in);
    inode.version.sealed = in.i64();
  }
  const std::string_view acl = (flags & kHasAcl) != 0 ? in.bytes() : std::string_view();
  const std::string_view default_acl = (flags & kHasDefaultAcl) != 0 ? in.bytes() : std::string_view();
  if ((flags & kHasMore) != 0) fits &= get_more(in, inode);
  if (!in.done() || !fits || (inode.mode & ~(S_IFMT | 07777u)) != 0 || !valid_type(inode.mode & S_IFMT) ||
      (!inode.sealed && inode.version.null_id) || inode.target.size() > kSymlinkMax || inode.size > kMaxFileSize) {
    return malformed("an inode");
  }
  if (!extents.empty()) {
    PAILFS_ASSIGN(inode.extents, decode_extents(extents));
    if (inode.extents.empty()) return malformed("an inode");
  }
  if ((flags & (kHasAcl | kHasDefaultAcl)) != 0) PAILFS_TRY(decode_acls(flags, acl, default_acl, inode));
  return inode;
}

// version, collided, name; unless it is a place holder (empty name): ino, type >> 12, since.
std::string encode_dirent(const Dirent& entry) {
  Encoder out;
  out.u8(kFormat);
  out.u8(entry.collided ? 1 : 0);
  out.bytes(entry.name);
  if (!entry.name.empty()) {
    out.varint(entry.ino);
    out.u8(static_cast<uint8_t>(entry.type >> 12));
    out.i64(entry.since);
  }
  return out.take();
}

Result<Dirent> decode_dirent(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("a directory entry of an unknown format");
  const uint8_t flags = in.u8();
  Dirent entry;
  entry.collided = flags == 1;
  entry.name = in.bytes();
  const bool holder = entry.name.empty();
  if (!holder) {
    entry.ino = in.varint();
    entry.type = uint32_t{in.u8()} << 12;
    entry.since = in.i64();
  }
  if (!in.done() || flags > 1 || (holder ? !entry.collided : !valid_name(entry.name) || !valid_type(entry.type))) {
    return malformed("a directory entry");
  }
  return entry;
}

// version, kind (with kNullMarker), ino, type >> 12, since, end, uid, name; unless kind is replaced: the marker's id.
std::string encode_ended(const EndedDirent& entry) {
  Encoder out;
  out.u8(kFormat);
  out.u8(static_cast<uint8_t>(static_cast<uint8_t>(entry.kind) | (entry.null_marker ? kNullMarker : 0)));
  out.varint(entry.ino);
  out.u8(static_cast<uint8_t>(entry.type >> 12));
  out.i64(entry.since);
  out.i64(entry.end);
  out.varint(entry.uid);
  out.bytes(entry.name);
  if (entry.kind != EndKind::kReplaced) put_id(out, entry.marker);
  return out.take();
}

Result<EndedDirent> decode_ended(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("an ended directory entry of an unknown format");
  EndedDirent entry;
  bool fits = true;
  const uint8_t flags = in.u8();
  const uint8_t kind = flags & ~kNullMarker;
  entry.null_marker = (flags & kNullMarker) != 0;
  entry.kind = static_cast<EndKind>(kind);
  entry.ino = in.varint();
  entry.type = uint32_t{in.u8()} << 12;
  entry.since = in.i64();
  entry.end = in.i64();
  entry.uid = narrow(in.varint(), fits);
  entry.name = in.bytes();
  if (entry.kind != EndKind::kReplaced) entry.marker = get_id(in);
  if (!in.done() || !fits || kind < 1 || kind > 3 || !valid_type(entry.type) || !valid_name(entry.name)) {
    return malformed("an ended directory entry");
  }
  return entry;
}

// version, versioning, flags, number, owner, created, name; where there is more: a byte that says what, since when
// there is history, when the last mass deletion began, days and number of the keep rule, mode, days and years of the
// default retention; object ownership where it is flagged; the switches of Block Public Access, where any is on.
std::string encode_bucket(const BucketRecord& bucket) {
  Encoder out;
  out.u8(kFormat);
  out.u8(static_cast<uint8_t>(bucket.versioning));
  const auto more = static_cast<uint8_t>((bucket.keep.days ? kKeepDays : 0) | (bucket.keep.count ? kKeepCount : 0) |
                                         (bucket.object_lock ? kObjectLock : 0) | (bucket.mfa_delete ? kMfaDelete : 0) |
                                         (bucket.mass_deletion != 0 ? kMassDeletion : 0));
  const bool extended = more != 0 || bucket.history_since != 0;
  out.u8(static_cast<uint8_t>((bucket.deleting ? kDeleting : 0) | (extended ? kBucketMore : 0) |
                              (bucket.parent_pointers ? kParentPointers : 0) |
                              (bucket.ownership != ObjectOwnership::kObjectWriter ? kOwnership : 0) |
                              (bucket.public_access != 0 ? kPublicAccess : 0)));
  out.varint(bucket.number);
  out.varint(bucket.owner);
  out.i64(bucket.created);
  out.bytes(bucket.name);
  if (extended) {
    out.u8(more);
    out.i64(bucket.history_since);
    if (bucket.mass_deletion != 0) out.i64(bucket.mass_deletion);
    if (bucket.keep.days) out.varint(*bucket.keep.days);
    if (bucket.keep.count) out.varint(*bucket.keep.count);
    if (bucket.object_lock) {
      out.u8(static_cast<uint8_t>(bucket.default_retention.mode));
      out.varint(bucket.default_retention.days);
      out.varint(bucket.default_retention.years);
    }
  }
  if (bucket.ownership != ObjectOwnership::kObjectWriter) out.u8(static_cast<uint8_t>(bucket.ownership));
  if (bucket.public_access != 0) out.u8(bucket.public_access);
  return out.take();
}

namespace {

bool get_more(Decoder& in, BucketRecord& bucket) {
  const uint8_t more = in.u8();
  bool fits = (more & ~(kKeepDays | kKeepCount | kObjectLock | kMfaDelete | kMassDeletion)) == 0;
  bucket.history_since = in.i64();
  if ((more & kMassDeletion) != 0) bucket.mass_deletion = in.i64();
  if ((more & kKeepDays) != 0) bucket.keep.days = narrow(in.varint(), fits);
  if ((more & kKeepCount) != 0) bucket.keep.count = narrow(in.varint(), fits);
  bucket.object_lock = (more & kObjectLock) != 0;
  bucket.mfa_delete = (more & kMfaDelete) != 0;
  if (bucket.object_lock) {
    const uint8_t mode = in.u8();
    fits &= mode <= 2;
    bucket.default_retention.mode = static_cast<LockMode>(mode);
    bucket.default_retention.days = narrow(in.varint(), fits);
    bucket.default_retention.years = narrow(in.varint(), fits);
  }
  return fits && (more != 0 || bucket.history_since != 0);
}

}  // namespace

Result<BucketRecord> decode_bucket(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("a bucket of an unknown format");
  BucketRecord bucket;
  bool fits = true;
  const uint8_t versioning = in.u8(), flags = in.u8();
  bucket.versioning = static_cast<Versioning>(versioning);
  bucket.deleting = (flags & kDeleting) != 0;
  bucket.parent_pointers = (flags & kParentPointers) != 0;
  bucket.number = narrow(in.varint(), fits);
  bucket.owner = narrow(in.varint(), fits);
  bucket.created = in.i64();
  bucket.name = in.bytes();
  if ((flags & kBucketMore) != 0) {
    fits &= get_more(in, bucket);
  } else if (bucket.versioning != Versioning::kOff) {
    bucket.history_since = bucket.created;  // written by a build that kept no history of attributes
  }
  if ((flags & kOwnership) != 0) {
    const uint8_t ownership = in.u8();
    fits &= ownership >= 1 && ownership <= 2;
    bucket.ownership = static_cast<ObjectOwnership>(ownership);
  }
  if ((flags & kPublicAccess) != 0) {
    bucket.public_access = in.u8();
    fits &= bucket.public_access != 0 && bucket.public_access <= kAllPublicSwitches;
  }
  if (!in.done() || !fits || versioning > 2 ||
      (flags & ~(kDeleting | kBucketMore | kParentPointers | kOwnership | kPublicAccess)) != 0 || bucket.number == 0 ||
      !valid_name(bucket.name)) {
    return malformed("a bucket");
  }
  return bucket;
}

// version, name, value.
std::string encode_xattr(const Xattr& xattr) {
  Encoder out;
  out.u8(kFormat);
  out.bytes(xattr.name);
  out.bytes(xattr.value);
  return out.take();
}

Result<Xattr> decode_xattr(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("an extended attribute of an unknown format");
  Xattr xattr;
  xattr.name = in.bytes();
  xattr.value = in.bytes();
  if (!in.done() || xattr.name.empty() || xattr.name.size() > kXattrNameMax ||
      xattr.name.find('\0') != std::string::npos || xattr.value.size() > kXattrSizeMax) {
    return malformed("an extended attribute");
  }
  return xattr;
}

// version, whether there was a value, name, the value.
std::string encode_past_xattr(const PastXattr& xattr) {
  Encoder out;
  out.u8(kFormat);
  out.u8(xattr.value ? 1 : 0);
  out.bytes(xattr.name);
  if (xattr.value) out.bytes(*xattr.value);
  return out.take();
}

Result<PastXattr> decode_past_xattr(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("a former extended attribute of an unknown format");
  PastXattr xattr;
  const uint8_t present = in.u8();
  xattr.name = in.bytes();
  if (present == 1) xattr.value = in.bytes();
  if (!in.done() || present > 1 || xattr.name.empty() || xattr.name.size() > kXattrNameMax ||
      xattr.name.find('\0') != std::string::npos || (xattr.value && xattr.value->size() > kXattrSizeMax)) {
    return malformed("a former extended attribute");
  }
  return xattr;
}

// version, value (fixed).
std::string encode_counter(uint64_t value) {
  Encoder out;
  out.u8(kFormat);
  out.u64(value);
  return out.take();
}

Result<uint64_t> decode_counter(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kFormat) return malformed("a counter of an unknown format");
  const uint64_t counter = in.u64();
  if (!in.done()) return malformed("a counter");
  return counter;
}

}  // namespace pailfs
