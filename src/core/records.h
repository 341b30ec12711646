// What the core keeps in the index: keys and value encodings, as pailfs-format(5), section "Index records", has them.
// Keys hold numbers and tokens only; names and everything else are in values, which the store seals.
//
//   'b' bucket(be32)                            BucketRecord            scope 0
//   'd' parent(be64) slot(be64)                 Dirent                  scope of the parent's bucket
//   'h' parent(be64) slot(be64) end(be64)       EndedDirent             "
//   'i' ino(be64)                               InodeRecord             scope of the inode's bucket
//   'v' ino(be64) vseq(be32)                    InodeRecord as of the sealing of that noncurrent version   "
//   'c' cid(be64) chunk(be64) vseq(be32)        extents of one chunk    "
//   'x' ino(be64) token(16)                     Xattr                   "
//   'a' ino(be64) end(be64)                     InodeRecord without content, as it was until the stamp `end`       "
//   'y' ino(be64) token(16) end(be64)           PastXattr, as it was until the stamp `end`   "
//   'w' ino(be64) parent(be64) slot(be64)       empty: a parent pointer, where an entry names the inode (not for
//                                               buckets' roots)         "
//   'o' ino(be64)                               empty: no name left, still in use; reaped at start         "
//   'l' ...                                     what the scrub writes down (scrub_findings.h); scope 0
//   's' segment(be64) offset(be64)              units that several owners show (shares.h); scope 0
//   'n' bucket(be32)                            first number of the bucket that was not handed out yet; scope 0.
//                                               bucket 0: first bucket number that was not
//   'm' 0                                       a stamp that was not reached yet; scope 0
//   'p' bucket(be32)                            the bucket's policy, as it was given; scope 0
//   'u' kind(1) token(16)                      Identity: a user, group, role, service or managed policy (identity.h);
//                                               scope 0
//   'r' 0                                       the retention clock (retention_clock.h); scope 0
//   't' 0                                       the device for MFA delete (mfa.h); scope 0
//   'k' 0                                       the store's Block Public Access (public_access.h); scope 0
//
// slot: the readdir cookie of an entry, below 2^63: (first 60 bits of the name's token) << 3 | collision number 0..7.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "core/acl.h"
#include "core/ownership.h"
#include "core/retention.h"
#include "core/types.h"

namespace pailfs {

inline constexpr uint64_t kChunkSize = uint64_t{512} << 10;  // bytes of a file that one extent list covers
inline constexpr size_t kInlineExtents = 6;      // a file of one chunk with at most so many keeps them in its inode
inline constexpr size_t kCoalesceExtents = 144;  // a chunk with more is read and written anew as one run

// Bytes [offset, offset + length) of a chunk are bytes [skip, skip + length) of the run. skip < kUnitSize and the run
// has no unit that is not needed (see trimming in extents.h). What no extent covers is a hole: zeros. Segment ids start
// at 1: a run in segment 0 stands for bytes that damage took, and that `pail repair` marked so. Reading them is
// kCorrupt for ever, until they are overwritten.
struct Extent {
  uint32_t offset = 0;
  uint32_t length = 0;
  uint32_t skip = 0;
  Run run;
  bool operator==(const Extent&) const = default;
};
inline bool is_lost(const Run& run) { return run.segment == 0; }
using ExtentList = std::vector<Extent>;  // sorted by offset, not overlapping

std::string encode_extents(const ExtentList& extents);
Result<ExtentList> decode_extents(std::string_view value);

// A sealed version's name. null_id: made while versioning was off or suspended.
struct VersionInfo {
  VersionId id{};
  Stamp sealed = 0;
  bool null_id = false;
};

struct InodeRecord {
  uint32_t mode = 0;
  uint32_t nlink = 0;  // directories: 2 + subdirectories; 0: no name left
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t rdev = 0;
  uint64_t size = 0;
  uint64_t stored = 0;  // plaintext bytes in extents of the current content, for st_blocks
  Time atime = 0, mtime = 0, ctime = 0, btime = 0;
  Ino parent = 0;  // directories: where .. leads
  bool has_xattrs = false;
  std::string target;  // symlinks
  AclPtr acl;          // null: the mode says everything; else it has a mask, and the mode is its acl_mode()
  AclPtr default_acl;  // directories: what is made in them gets it

  // Content of regular files. Chunk c of the content (cid, vseq) is the 'c' record with the greatest vseq' <= vseq,
  // unless `chunked` is false: then `extents` is all of chunk 0 and there is no other. A truncation to zero starts a
  // new cid.
  Ino cid = 0;        // content id, from the inode numbers of the bucket; 0: never written
  uint32_t vseq = 1;  // of the current content
  uint32_t prev = 0;  // greatest vseq of an older surviving version with the same cid; 0: none
  bool chunked = false;
  ExtentList extents;

  bool dirty = false;   // changed since it was sealed, or never sealed
  bool sealed = false;  // `version` names the content as last sealed (also while dirty is false)
  VersionInfo version;
  // Noncurrent versions: when this one ceased to be what the file shows, where that is not when the next version that
  // is left was sealed. 0: it is.
  Stamp ceased = 0;
  Stamp resumed = 0;  // with `ceased`: when, being the newest that is left, it became that again
  Retention retention;
};

std::string encode_inode(const InodeRecord& inode);
Result<InodeRecord> decode_inode(std::string_view value);

struct Dirent {
  Ino ino = 0;
  uint32_t type = 0;      // S_IFMT bits
  Stamp since = 0;        // when the name came to stand for the inode
  bool collided = false;  // slots above this one in its group of 8 are, or were, in use
  std::string name;       // empty: a place holder that only carries `collided`
};
std::string encode_dirent(const Dirent& entry);
Result<Dirent> decode_dirent(std::string_view value);

enum class EndKind : uint8_t { kDeleted = 1, kRenamed = 2, kReplaced = 3 };
// An entry that has ended: what a name stood for in [since, end).
struct EndedDirent {
  Ino ino = 0;
  uint32_t type = 0;
  Stamp since = 0;
  Stamp end = 0;
  EndKind kind = EndKind::kDeleted;
  VersionId marker{};  // id of the delete marker (kinds deleted and renamed)
  uint32_t uid = 0;    // who ended it
  std::string name;
  bool null_marker = false;  // the marker was made while versioning was suspended: it is shown as "null"
};
std::string encode_ended(const EndedDirent& entry);
Result<EndedDirent> decode_ended(std::string_view value);

struct BucketRecord {
  std::string name;
  Scope number = 0;
  Versioning versioning = Versioning::kEnabled;
  uint32_t owner = 0;  // uid of the owner of the history: the account
  Time created = 0;
  bool deleting = false;    // a purge has begun
  Stamp history_since = 0;  // since when every moment can be shown; 0: never, as versioning was never on
  Stamp mass_deletion = 0;  // when the last removal of many names began; 0: there was none
  KeepRule keep = {};
  bool object_lock = false;  // once on, it stays
  DefaultRetention default_retention = {};
  bool mfa_delete = false;       // removing versions and changing the versioning state take a TOTP code
  bool parent_pointers = false;  // every entry in it has its parent pointer
  ObjectOwnership ownership = ObjectOwnership::kObjectWriter;
  uint8_t public_access = 0;  // its switches of Block Public Access (public_access.h)
};
std::string encode_bucket(const BucketRecord& bucket);
Result<BucketRecord> decode_bucket(std::string_view value);
// What to tell of one of which the keyring has no keys.
std::string keyless_bucket(std::string_view name);

struct Xattr {
  std::string name;
  std::string value;
};
std::string encode_xattr(const Xattr& xattr);
Result<Xattr> decode_xattr(std::string_view value);

// An attribute that was changed: what it was before, or that there was none.
struct PastXattr {
  std::string name;
  std::optional<std::string> value;
};
std::string encode_past_xattr(const PastXattr& xattr);
Result<PastXattr> decode_past_xattr(std::string_view value);

// The record of an inode for its history of attributes: without its extents.
std::string encode_past_inode(InodeRecord inode);
Stamp end_of_past(std::string_view key);  // of the keys of both kinds of history

// The values of 'n' and 'm'.
std::string encode_counter(uint64_t value);
Result<uint64_t> decode_counter(std::string_view value);

namespace keys {
std::string bucket(Scope number);
std::string bucket_policy(Scope number);
std::string identities();  // what the keys of all begin with
std::string identity(uint8_t kind, std::string_view token);
std::string dirent(Ino parent, uint64_t slot);
std::string ended(Ino parent, uint64_t slot, Stamp end);
std::string parent_pointer(Ino ino, Ino parent, uint64_t slot);
std::optional<Ino> inode_of_parent_pointer(std::string_view key);  // nullopt: the key is another record's
std::string inode(Ino ino);
std::string version(Ino ino, uint32_t vseq);
std::string chunk(Ino cid, uint64_t chunk, uint32_t vseq);
std::string shared(uint64_t segment, uint64_t offset);
std::string xattr(Ino ino, std::string_view token);
std::string past_inode(Ino ino, Stamp end);
std::string past_xattr(Ino ino, std::string_view token, Stamp end);
std::string orphan(Ino ino);
std::string numbers(Scope bucket);
std::string stamps();
std::string retention_clock();
std::string mfa_device();
std::string public_access();
// What the keys of a kind, from one number (inode, parent, content id) on, begin with.
std::string numbered(char kind, uint64_t number);
// The least string greater than every key that begins with `prefix`.
std::string after_prefix(std::string prefix);
}  // namespace keys

// S3 naming rules for general purpose buckets (Amazon S3 user guide, "Bucket naming rules"): 3 to 63 characters of a-z,
// 0-9, '.' and '-', beginning and ending with a letter or digit, no "..", not an IPv4 address, no reserved prefix or
// suffix. The error (kInvalid) says which rule is broken.
Status check_bucket_name(std::string_view name);

}  // namespace pailfs
