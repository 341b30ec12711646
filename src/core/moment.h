// A bucket as it was at a moment: which names stood for what, with which attributes and which content. Read from
// entries that were there then, live or ended, from the history of attributes, and from versions; nothing is made
// beforehand.
//
// Every step reads what is now first and what was then second: a change in between has put what it replaced where the
// second step finds it. No locks.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/impl.h"

namespace pailfs {

class Moment {
 public:
  // What has happened up to and with the stamp `at`.
  Moment(Core::Impl& core, Stamp at) : core_(core), at_(at) {}
  Stamp at() const { return at_; }

  struct Entry {
    uint64_t slot = 0;
    std::string name;
    Ino ino = 0;
    uint32_t type = 0;  // S_IFMT bits
  };
  Result<std::optional<Entry>> find(Ino directory, std::string_view name) const;
  // The entries behind the slot `after`, in the order of slots, until `visit` returns false or fails.
  Status list(Ino directory, uint64_t after, const std::function<Result<bool>(Entry&)>& visit) const;

  // An inode that had a name then. A regular file has the content as last sealed by then; where no version tells of
  // that any more, or none did yet, `whole` is false, and the content is empty.
  struct Object {
    InodeRecord record;
    bool whole = true;
    bool fixed = false;  // it never changes, as long as it is there
  };
  // nullopt: nothing is left of the inode.
  Result<std::optional<Object>> object(Ino ino) const;

  // Extended attributes of an object, and their names. nullopt: it had none of that name.
  Result<std::optional<std::string>> xattr(Ino ino, const InodeRecord& record, std::string_view name) const;
  Result<std::vector<std::string>> xattr_names(Ino ino, const InodeRecord& record) const;

 private:
  Result<std::optional<Entry>> ended_entry(Ino directory, std::string_view name) const;
  Result<uint64_t> ended_entries(Ino directory, uint64_t first, uint64_t end, size_t limit,
                                 std::map<uint64_t, Entry>& out) const;
  Result<std::optional<InodeRecord>> content(StoreView& view, Ino ino, const InodeRecord& current) const;

  Core::Impl& core_;
  const Stamp at_;
};

// What something was, and how its rights were.
struct ThenAndNow {
  Ino ino = 0;
  const InodeRecord& then;
  Stamp at = 0;
  std::span<const std::string> keys;  // for policies: its path then, and those that it has now
};
// Whether the caller may use it: by the rights that it had at the moment, and by those it has now, or had last. What
// was closed since is closed, and what was closed then is not opened by what came later. kNotFound: nothing is left of
// it.
Status check_then(Core::Impl& core, const Caller& caller, const ThenAndNow& object, Action action, Need need,
                  uint32_t permissions = 0);

// Since when the moments of a bucket can be shown. kNotFound where versioning was never on; kInvalid for a moment that
// has not come yet; kNotFound for one from before. The messages say what to do.
// Returns the moment to show, at which nothing can happen any more.
Result<Stamp> check_moment(Core::Impl& core, Scope bucket, Stamp at);

}  // namespace pailfs
