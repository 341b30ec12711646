// The .versions view: read-only directories that show every version of every name that is or was in a directory. Its
// places have inode numbers with kVirtualBit, made at lookup and kept while the kernel references them; they are not
// stored.
//
//   DIR/.versions/               every name that is or was in DIR, as a directory
//   DIR/.versions/NAME/          one file per version of NAME and per delete marker; where NAME is or was a directory,
//                                also its names, as directories
//   DIR/.versions/NAME/VERSION   the content of that version
//   DIR/.versions/@MOMENT/       DIR with all that was below it, as it was at the moment
//
// Names, places and listings are in versions_view.cc, what is done with versions in versions_use.cc, and what is below
// @MOMENT in moment_view.cc.
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
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "core/core.h"
#include "core/history.h"
#include "core/impl.h"
#include "core/moment.h"
#include "core/spoken_moments.h"

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
  // Extended attributes and ACLs that the place had.
  Result<std::string> getxattr(const Caller& caller, Ino ino, std::string_view name);
  Result<std::vector<std::string>> listxattr(const Caller& caller, Ino ino);

  // Removes a noncurrent version for good, or a delete marker: the account only. A version that is the current content
  // of a file is kNotPermitted, names that stand for directories are kIsDirectory.
  Status unlink(const Caller& caller, Ino parent, std::string_view name);

  // The content record a version file shows, for seek(2).
  Result<InodeRecord> content(Ino ino);

 private:
  // A place: the directory whose .versions it is below, and the names from there. A version file also has the name of
  // its version.
  struct Place {
    Ino root = 0;
    std::vector<std::string> names;  // real names, not escaped
    std::string version;             // not empty: a version file, by its name
    Ino ino = 0;                     // of the version's inode; 0 for a delete marker
    uint32_t vseq = 0;
    // Below @MOMENT: `ino` is what was there, `top` the directory that @MOMENT itself shows. No names.
    Stamp moment = 0;
    Ino top = 0;
    std::optional<std::string> key;  // and its path then, by which it was found first; where it can be told
    bool is_file() const { return !version.empty(); }
    Scope bucket() const { return bucket_of(root); }
    bool operator==(const Place& other) const {
      return std::tie(root, names, version, ino, vseq, moment, top) ==
             std::tie(other.root, other.names, other.version, other.ino, other.vseq, other.moment, other.top);
    }
  };
  // What a name leads to.
  struct Found {
    Place place;
    NameLasts lasts = NameLasts::kNo;
  };
  // What readdir() lists: an entry, and where it leads.
  struct Listed {
    DirectoryEntry entry;
    Place place;
    NameLasts lasts = NameLasts::kNo;
    bool is_version = false;  // then entry.attributes is filled
    bool is_moment = false;   // what it leads to is found out when it is looked up
  };
  using Listing = std::vector<Listed>;  // by cookie
  struct Node {
    Place place;
    uint64_t references = 0;
    // Between two calls of readdir() by the same task, for whose rights it was made.
    std::shared_ptr<const Listing> listing;
    uint32_t uid = 0, gid = 0, pid = 0;
  };
  // What a place that is a directory stands for.
  struct Resolved {
    std::vector<DirectorySpan> parents;      // empty for .versions itself
    std::vector<NameSpan> spans;             // of the last name in them
    std::vector<DirectorySpan> directories;  // that the place itself is or was
    bool open_to_all = false;                // whether everybody may look names up in all of these
    bool closed = false;                     // there are directories, and the caller may use none of them
  };

  Result<Place> place(Ino ino) const;
  // What policies go by; empty where the bucket has none.
  Result<std::vector<std::string>> keys_of(const Place& place) const;
  static Place versions_of(Ino directory) {
    Place out;
    out.root = directory;
    return out;
  }
  static void show(Place& place, const ShownVersion& version);  // makes it that version's
  // The number of a place: always the same one, unless two places in use collide.
  Ino number(const Place& place) const REQUIRES(mutex_);
  Ino remember(const Place& place);  // counts one reference
  Result<Resolved> resolve(const Place& place);
  // What of the place the caller may list or search; kAccessDenied when that is nothing.
  Result<Resolved> resolve_for(const Caller& caller, const Place& place, Need need);
  Result<std::optional<Attributes>> directory_attributes(const std::vector<DirectorySpan>& directories);
  Result<Attributes> attributes(const Place& place);
  // `own`: whether it is the inode's own content still.
  Result<InodeRecord> version_record(const Place& place, bool* own = nullptr);
  Result<Stamp> attributes_until(const Place& place);
  // Of a version, for policies.
  Result<TagsOf> tags_of(const Place& place);
  Result<std::string> s3_attribute(const Place& place, std::string_view name);
  // Whether names of this place that cannot change go on leading where they do.
  NameLasts lasting(Scope bucket, bool open_to_all) const;
  bool open_to_all(const std::vector<DirectorySpan>& directories);
  Result<ShownVersion> find_version(const Resolved& resolved, std::string_view name);
  Result<Found> child(const Caller& caller, const Place& parent, std::string_view name);
  Result<Listing> list(const Caller& caller, const Place& place);
  Result<std::shared_ptr<const Listing>> listing(const Caller& caller, Ino ino, const Place& place, bool from_start);
  void keep_listing(const Caller& caller, Ino ino, std::shared_ptr<const Listing> listing);
  // False when `emit` refused an entry.
  bool emit_entries(const Listing& listing, uint64_t cookie, bool plus,
                    const std::function<bool(const DirectoryEntry&)>& emit);

  // --- Below @MOMENT
  static constexpr size_t kMaxDepth = 4096;
  Result<Stamp> spoken_moment(const Caller& caller, Scope bucket, std::string_view text);
  Result<std::vector<std::string>> path_now(Ino directory);
  Result<std::string> path_then(Ino directory, const Moment& moment);
  Result<Ino> older_directory(const Caller& caller, Ino directory, const Moment& moment);
  Result<Found> enter_moment(const Caller& caller, const Place& versions, std::string_view text);
  Status check_then(const Caller& caller, const Place& place, const InodeRecord& then, Action action, Need need,
                    uint32_t permissions = 0);
  // What the place shows; kNotFound where nothing is left of it.
  Result<Moment::Object> object_then(const Place& place);
  Result<InodeRecord> record_then(const Place& place);
  // How the names in a directory last that was so then.
  NameLasts lasting_then(const Place& directory, const InodeRecord& record);
  Result<Attributes> attributes_then(const Place& place);
  Result<Found> child_then(const Caller& caller, const Place& parent, std::string_view name);
  Status access_then(const Caller& caller, const Place& place, int mask);
  Status opendir_then(const Caller& caller, const Place& place);
  Status readdir_then(const Caller& caller, const Place& place, Ino number, uint64_t cookie, bool plus,
                      const std::function<bool(const DirectoryEntry&)>& emit);
  Result<OpenResult> open_then(const Caller& caller, Ino number, const Place& place, OpenFlags flags);
  Result<std::string> readlink_then(const Place& place);
  Result<std::string> getxattr_then(const Caller& caller, const Place& place, std::string_view name);
  Result<std::vector<std::string>> listxattr_then(const Caller& caller, const Place& place);
  Result<std::string> xattr_at(const Caller& caller, Ino ino, const InodeRecord& record, Stamp at,
                               std::span<const std::string> keys, std::string_view name,
                               const Attributes* now = nullptr);
  Result<std::vector<std::string>> xattr_names_at(const Caller& caller, Ino ino, const InodeRecord& record, Stamp at);
  std::vector<std::string> offered_moments(Scope bucket);

  // Processes that opened directories here, and when: what lists and removes goes through all there is.
  void note_lister(const Caller& caller);
  bool lists_and_removes(const Caller& caller);

  Core::Impl& core_;
  mutable Mutex mutex_;
  std::unordered_map<uint32_t, Time> listers_ GUARDED_BY(mutex_);
  SpokenMoments spoken_;
  std::unordered_map<Ino, Node> nodes_ GUARDED_BY(mutex_);
};

}  // namespace pailfs
