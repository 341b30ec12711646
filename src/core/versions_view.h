// The .versions view: read-only directories that show every version of every name that is or was in a directory. Its
// places have inode numbers with kVirtualBit, made at lookup and kept while the kernel references them; they are not
// stored.
//
//   DIR/.versions/               every name that is or was in DIR, as a directory
//   DIR/.versions/NAME/          one file per version of NAME and per delete marker; where NAME is or was a directory,
//                                also its names, as directories
//   DIR/.versions/NAME/VERSION   the content of that version
//
// Listing a place takes read permission on the directories it shows, looking something up in it search permission, each
// by their present record (or the last one, for a directory that is gone). Directories that the caller may not use are
// passed over; where that leaves none, the answer is kAccessDenied.
//
// The core calls this for every inode number with is_virtual(); what is not declared here is kReadOnly there. Nothing
// here is called with the tree lock or an inode's lock held. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "core/core.h"
#include "core/history.h"
#include "core/impl.h"

namespace pailfs {

inline constexpr std::string_view kVersionsName = ".versions";

class VersionsView {
 public:
  explicit VersionsView(Core::Impl& core) : core_(core) {}

  // The .versions of a real directory; needs search permission on it. Counts one reference, as lookup() does.
  Result<Attributes> enter(const Caller& caller, Ino directory);
  Result<Attributes> lookup(const Caller& caller, Ino parent, std::string_view name);
  void forget(Ino ino, uint64_t count);

  Result<Attributes> getattr(const Caller& caller, Ino ino);
  // W_OK is kReadOnly.
  Status access(const Caller& caller, Ino ino, int mask);
  // The permission check of opendir(3); the handle is the caller's business.
  Status opendir(const Caller& caller, Ino ino);
  // As Core::readdir(), `.` and `..` included.
  Status readdir(const Caller& caller, Ino ino, uint64_t cookie, bool plus,
                 const std::function<bool(const DirectoryEntry&)>& emit);

  // Opens a version for reading; Core::read() and Core::release() take the handle. Writing is kReadOnly.
  Result<OpenResult> open(const Caller& caller, Ino ino, OpenFlags flags);
  Result<std::string> readlink(const Caller& caller, Ino ino);
  // Versions have no extended attributes: kNoData, and an empty list.
  Result<std::string> getxattr(const Caller& caller, Ino ino, std::string_view name);
  Result<std::vector<std::string>> listxattr(const Caller& caller, Ino ino);

  // Removes a noncurrent version for good, or a delete marker: the account only. A version that is the current content
  // of a file is kNotPermitted, names that stand for directories are kIsDirectory.
  Status unlink(const Caller& caller, Ino parent, std::string_view name);

  // The content record a version file shows, for seek(2).
  Result<InodeRecord> content(Ino ino);

 private:
  // A place: the directory whose .versions it is below, and the names from there. A version file has the name of its
  // version last.
  struct Place {
    Ino root = 0;
    std::vector<std::string> names;  // real names, not escaped
    std::string version;             // not empty: a version file, by its name
    Ino ino = 0;                     // of the version's inode; 0 for a marker
    uint32_t vseq = 0;
    auto operator<=>(const Place&) const = default;
  };
  struct Node {
    Place place;
    uint64_t references = 0;
    std::shared_ptr<const std::vector<DirectoryEntry>> listing;  // between two calls of readdir
  };

  Result<Place> place(Ino ino) const;
  // The number of a place, made if it has none; counts `references`.
  Ino number(const Place& place, uint64_t references);
  Result<std::vector<DirectorySpan>> spans(const Caller& caller, const Place& place, bool list);
  Result<Attributes> place_attributes(const Place& place, Ino ino);
  Result<Place> child(const Caller& caller, const Place& parent, std::string_view name);
  Result<std::vector<DirectoryEntry>> list(const Caller& caller, const Place& place);

  Core::Impl& core_;
  mutable Mutex mutex_;
  uint64_t next_ GUARDED_BY(mutex_) = 1;
  std::unordered_map<Ino, Node> nodes_ GUARDED_BY(mutex_);
  std::map<Place, Ino> numbers_ GUARDED_BY(mutex_);
};

}  // namespace pailfs
