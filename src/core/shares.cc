#include "core/shares.h"

#include <algorithm>
#include <map>

#include "base/codec.h"

namespace pailfs {

namespace {

// The shared ranges that one transaction touches, as they were and as they will be.
class Edit {
 public:
  explicit Edit(const Store& store) : store_(store) {}

  // One owner more.
  Status add(const UnitRange& range) {
    return cover(range, [&](uint64_t begin, uint64_t end, uint64_t owners) {
      now_[{range.segment, begin}] = {end, owners == 0 ? 2 : owners + 1};
    });
  }

  // One owner less; `last` is called with what had a single one.
  template <typename Last>
  Status drop(const UnitRange& range, const Last& last) {
    return cover(range, [&](uint64_t begin, uint64_t end, uint64_t owners) {
      if (owners == 0) {
        last(UnitRange{range.segment, begin, end, range.head && begin == range.begin});
      } else if (owners == 2) {
        now_.erase({range.segment, begin});
      } else {
        now_[{range.segment, begin}] = {end, owners - 1};
      }
    });
  }

  void put(Transaction& tx) const {
    for (const auto& [place, record] : before_) {
      if (!now_.contains(place)) tx.erase(keys::shared(place.first, place.second));
    }
    for (const auto& [place, record] : now_) {
      const auto old = before_.find(place);
      if (old != before_.end() && old->second == record) continue;
      Encoder value;
      value.varint(record.end - place.second);
      value.varint(record.owners);
      tx.put(kStoreScope, keys::shared(place.first, place.second), value.take());
    }
  }

 private:
  struct Record {
    uint64_t end = 0;
    uint64_t owners = 0;
    bool operator==(const Record&) const = default;
  };
  using Place = std::pair<uint64_t, uint64_t>;  // segment, begin

  // Calls visit(begin, end, owners) for the pieces of the range in order; owners 0: no record.
  template <typename Visit>
  Status cover(const UnitRange& range, const Visit& visit) {
    PAILFS_TRY(load(range));
    split(range.segment, range.begin);
    split(range.segment, range.end);
    struct Piece {
      uint64_t begin, end, owners;
    };
    std::vector<Piece> pieces;
    uint64_t at = range.begin;
    for (auto it = now_.lower_bound({range.segment, range.begin});
         it != now_.end() && it->first < Place{range.segment, range.end}; ++it) {
      if (it->first.second > at) pieces.push_back({at, it->first.second, 0});
      pieces.push_back({it->first.second, it->second.end, it->second.owners});
      at = it->second.end;
    }
    if (at < range.end) pieces.push_back({at, range.end, 0});
    for (const Piece& piece : pieces) visit(piece.begin, piece.end, piece.owners);
    return {};
  }

  Status load(const UnitRange& range) {
    StoreView view = store_.view();
    const auto take = [&](const StoreView::Entry& entry) -> Status {
      PAILFS_ASSIGN(const SharedRange found, decode_shared(entry));
      const Place place{found.range.segment, found.range.begin};
      if (found.range.end > range.begin && before_.try_emplace(place, Record{found.range.end, found.owners}).second) {
        now_[place] = before_[place];
      }
      return {};
    };
    PAILFS_ASSIGN(auto entry, view.last_before(kStoreScope, keys::shared(range.segment, range.begin),
                                               keys::shared(range.segment, 0)));
    if (entry) PAILFS_TRY(take(*entry));
    const std::string end = keys::shared(range.segment, range.end);
    PAILFS_ASSIGN(entry, view.seek(kStoreScope, keys::shared(range.segment, range.begin), end));
    while (entry) {
      PAILFS_TRY(take(*entry));
      PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
    }
    return {};
  }

  void split(uint64_t segment, uint64_t at) {
    auto it = now_.lower_bound({segment, at});
    if (it == now_.begin()) return;
    --it;
    if (it->first.first != segment || it->second.end <= at) return;
    now_[{segment, at}] = it->second;
    it->second.end = at;
  }

  const Store& store_;
  std::map<Place, Record> before_;
  std::map<Place, Record> now_;
};

}  // namespace

Result<SharedRange> decode_shared(const StoreView::Entry& entry) {
  Decoder key(entry.key);
  key.u8();
  SharedRange out;
  out.range.segment = key.be64();
  out.range.begin = key.be64();
  Decoder value(entry.value);
  const uint64_t length = value.varint();
  out.owners = value.varint();
  out.range.end = out.range.begin + length;
  if (!key.done() || !value.done() || length == 0 || out.range.end < out.range.begin || out.owners < 2) {
    return fail(Code::kCorrupt, "the index is damaged: an unreadable record of shared units");
  }
  return out;
}

Status Shares::load() {
  PAILFS_ASSIGN(const auto key, store_.view().seek_key(keys::shared(0, 0), keys::after_prefix("s")));
  any_ = key.has_value();
  return {};
}

Result<bool> Shares::concerns(Transaction& tx) const {
  if (!any_ || tx.released().empty()) return false;
  StoreView view = store_.view();
  for (const Run& run : tx.released()) {
    const UnitRange range = range_of(run);
    PAILFS_ASSIGN(const auto entry, view.last_before(kStoreScope, keys::shared(range.segment, range.end),
                                                     keys::shared(range.segment, 0)));
    if (!entry) continue;
    PAILFS_ASSIGN(const SharedRange found, decode_shared(*entry));
    if (found.range.end > range.begin) return true;
  }
  return false;
}

Status Shares::resolve(Transaction& tx, std::span<const Run> added) {
  Edit edit(store_);
  std::vector<UnitRange> touched;
  for (const Run& run : added) {
    touched.push_back(range_of(run));
    PAILFS_TRY(edit.add(touched.back()));
  }
  std::vector<Run> unreferenced;
  for (const Run& run : tx.released()) {
    touched.push_back(range_of(run));
    PAILFS_TRY(edit.drop(touched.back(), [&](const UnitRange& range) { unreferenced.push_back(run_of(range)); }));
  }
  tx.released() = std::move(unreferenced);
  edit.put(tx);
  if (!added.empty()) any_ = true;
  for (Watch* watch : watches_) watch->changed_.insert(watch->changed_.end(), touched.begin(), touched.end());
  return {};
}

Shares::Watch::Watch(Shares& shares) : shares_(shares) {
  const MutexLock guard(shares_.lock);
  shares_.watches_.push_back(this);
}

Shares::Watch::~Watch() {
  const MutexLock guard(shares_.lock);
  std::erase(shares_.watches_, this);
}

std::vector<UnitRange> Shares::Watch::changed() const {
  const MutexLock guard(shares_.lock);
  return changed_;
}

}  // namespace pailfs
