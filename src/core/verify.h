// Reading what is stored to see whether it verifies: what the check (check.h) and the scrub (scrub.h) share.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/extents.h"
#include "core/types.h"

namespace pailfs {

inline constexpr std::string_view kKindsOfStore = "bklmnprstu";    // of the store's own scope
inline constexpr std::string_view kKindsOfBuckets = "acdhiovwxy";  // keys begin with a number that names a bucket
// What is known of a record by its key: the scope of its value, and where the range of keys ends that have the same
// kind and scope. nullopt: there are no such records.
struct KeysAround {
  Scope scope = kStoreScope;
  std::string end;
};
std::optional<KeysAround> keys_around(std::string_view key);
// The inode number that a key (of any kind but those of the store) begins with.
Ino ino_of_key(std::string_view key);
// The range of all keys of one kind in a bucket.
std::string kind_begin(char kind, Scope bucket);
std::string kind_end(char kind, Scope bucket);

// The next values of a key range, up to one that does not verify.
struct VerifiedBatch {
  std::vector<StoreView::Entry> entries;
  std::optional<std::string> bad;  // the key behind them whose value does not verify
  Error why;                       // of it
  std::string next;                // where to go on
  bool finished = false;           // there is nothing to go on with
};
// At most so many entries, and bytes of them. Other failures than a value that does not verify are returned.
Result<VerifiedBatch> read_verified(const Store& store, Scope scope, std::string from, const std::string& end,
                                    size_t entries, size_t bytes);

// Reads and verifies units of a run; gives the stored range of each that is not readable to `bad`, with why. Fails when
// `proceed` does, and for what says nothing of the units; that the medium does not give them is as `medium` says. The
// caller holds a ReadGuard taken before it looked the run up.
enum class OnMediumError { kFail, kReport };
Status verify_units(const Store& store, Scope scope, const Run& run, const std::function<Status()>& proceed,
                    const std::function<void(const UnitRange& unit, const Error& why)>& bad,
                    OnMediumError medium = OnMediumError::kFail);

// Calls visit(inode, content id) for every inode and every version of the bucket that has content. Steps over what does
// not verify.
Status each_content(const Store& store, Scope bucket, const std::function<Status()>& proceed,
                    const std::function<void(Ino ino, Ino cid)>& visit);

// For each of the segments in which content was born, of any version: the end of what it has there. Fails at the first
// record that does not verify.
Result<std::map<uint64_t, uint64_t>> content_in(Store& store, const std::set<uint64_t>& segments);

}  // namespace pailfs
