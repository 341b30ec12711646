// What the scrub writes down: how far it is, and what it found lost.
//
//   'l' 's'                          ScrubState
//   'l' 'u' inode(be64) chunk(be64)  Finding: units of that chunk of the inode's versions
//   'l' 'r' key                      Finding: the record that has the key
//
// all in scope 0. A finding names no file and no version: which ones show what was lost is found out whenever somebody
// asks, since it changes (an overwritten file leaves the damage to an older version, a pruned version takes it along).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "core/extents.h"
#include "core/scrub.h"

namespace pailfs {

struct ScrubState {
  Time begun = 0;      // of the pass under way; 0: there is none
  std::string cursor;  // every key before it has been visited
  uint64_t verified = 0;
  Time completed = 0;
  uint64_t completed_bytes = 0;
};
std::string encode_scrub_state(const ScrubState& state);
Result<ScrubState> decode_scrub_state(std::string_view value);

struct Finding {
  Ino ino = 0;                   // 0: the record is no inode's
  uint64_t chunk = 0;            // with units
  std::vector<UnitRange> units;  // none: it is a record
  std::string record;            // its key
  std::string why;
  Time found = 0;
};
std::string encode_finding(const Finding& finding);
Result<Finding> decode_finding(std::string_view value);

namespace keys {
std::string scrub_state();
std::string finding(const Finding& finding);
}  // namespace keys

class FilePaths;

class ScrubFindings {
 public:
  static constexpr size_t kMaxKept = 10'000;  // further ones go to the log alone
  static constexpr size_t kMaxListed = 1000;

  explicit ScrubFindings(Core::Impl& core) : core_(core) {}

  // Of the scrub's thread: takes note of units that a record with this key refers to, or of the record itself.
  void lost_units(const std::string& key, std::vector<UnitRange> units, std::string why);
  void lost_record(const std::string& key, const std::string& why);
  void forget_noted() {
    noted_.clear();
    damaged_.clear();
  }
  // Writes down what was noted.
  Status commit(const std::function<Status()>& proceed);
  // A finding that the pass has come to: drops it where nothing shows it, or it is not lost any more. Returns the bytes
  // read.
  Result<uint64_t> look_again(const std::string& key, const std::string& value, const std::function<Status()>& proceed);

  // What is lost now. Any thread.
  struct Listed {
    uint64_t count = 0;
    uint64_t records = 0;  // see ScrubStatus
    std::set<uint64_t> segments;
    std::vector<LostObject> objects;  // the first kMaxListed
  };
  Result<Listed> list(bool with_objects) EXCLUDES(names_lock_);

 private:
  // A version that shows something lost.
  struct Shown {
    VersionId id{};
    std::string version;  // name as in .versions; empty: not sealed
    bool current = false;
    uint64_t bytes = 0;
  };
  struct Named {
    Time ctime = 0;      // of the inode then
    int64_t looked = 0;  // monotonic
    std::vector<std::string> paths;
  };
  struct Noted {
    Finding finding;
    Ino cid = 0;  // of a content whose inode is not known yet
  };
  Status each(const std::function<Status(const Finding&)>& visit) const;
  Result<size_t> count_kept() const;
  Status drop_damaged();
  Status find_owners(const std::function<Status()>& proceed);
  Status add(const Finding& noted, FilePaths& paths, Transaction& tx);
  void tell(const Finding& finding, const std::vector<Shown>& shown, FilePaths& paths, Transaction& tx);
  // Empty: nothing shows it.
  Result<std::vector<Shown>> shown_by(const Finding& finding) const;
  Result<std::vector<Shown>> versions_with(const Finding& finding) const;
  bool record_is_lost(const std::string& key) const;
  Time ctime_of(Ino ino) const;
  void name(const std::vector<Ino>& inodes, std::vector<LostObject>& objects) EXCLUDES(names_lock_);

  Core::Impl& core_;
  std::vector<Noted> noted_;
  std::vector<std::string> damaged_;  // keys of records of the scrub's own
  std::optional<size_t> kept_;        // findings in the store, once they were counted; of the scrub's thread
  Mutex names_lock_;
  std::map<Ino, Named> names_ GUARDED_BY(names_lock_);
};

}  // namespace pailfs
