#include "core/verify.h"

#include <algorithm>

#include "base/codec.h"
#include "core/records.h"
#include "core/scan.h"

namespace pailfs {

namespace {

constexpr size_t kBatchEntries = 512;
constexpr size_t kBatchBytes = size_t{256} << 10;

}  // namespace

std::optional<KeysAround> keys_around(std::string_view key) {
  const char kind = key.front();
  if (static_cast<unsigned char>(kind) < 0x20) return KeysAround{kStoreScope, " "};
  if (kKindsOfStore.contains(kind)) return KeysAround{kStoreScope, keys::after_prefix(std::string(1, kind))};
  if (!kKindsOfBuckets.contains(kind) || key.size() <= sizeof(Ino)) return std::nullopt;
  const Scope bucket = bucket_of(ino_of_key(key));
  return KeysAround{bucket, kind_end(kind, bucket)};
}

Ino ino_of_key(std::string_view key) { return Decoder(key.substr(1)).be64(); }

std::string kind_begin(char kind, Scope bucket) {
  Encoder out;
  out.u8(static_cast<uint8_t>(kind));
  out.be64(Ino{bucket} << kBucketShift);
  return out.take();
}

std::string kind_end(char kind, Scope bucket) { return kind_begin(kind, bucket + 1); }

Result<VerifiedBatch> read_verified(const Store& store, Scope scope, std::string from, const std::string& end,
                                    size_t entries, size_t bytes) {
  VerifiedBatch batch;
  batch.next = std::move(from);
  StoreView view = store.view();
  size_t read = 0;
  auto entry = view.seek(scope, batch.next, end);
  while (entry && *entry) {
    batch.next = (*entry)->key + '\0';
    read += (*entry)->key.size() + (*entry)->value.size();
    batch.entries.push_back(std::move(**entry));
    if (batch.entries.size() >= entries || read >= bytes) return batch;
    entry = view.next(scope, end);
  }
  batch.finished = entry.has_value();
  if (entry) return batch;
  batch.why = std::move(entry).error();
  if (batch.why.code != Code::kCorrupt) return std::unexpected(std::move(batch.why));
  PAILFS_ASSIGN(batch.bad, view.seek_key(batch.next, end));
  if (batch.bad) batch.next = *batch.bad + '\0';
  return batch;
}

Status verify_units(const Store& store, Scope scope, const Run& run, const std::function<Status()>& proceed,
                    const std::function<void(const UnitRange& unit, const Error& why)>& bad, OnMediumError medium) {
  const auto lost = [medium](const Error& why) {
    return why.code == Code::kCorrupt || (why.code == Code::kIo && medium == OnMediumError::kReport);
  };
  std::string bytes;
  const auto readable = [&](const Run& part) {
    bytes.resize(part.length);
    return store.read(scope, part, 0, bytes);
  };
  for (Run rest = run;;) {
    PAILFS_TRY(proceed());
    const Run part = rest.units() > kMaxRun / kUnitSize ? rest.keep_front(kMaxRun / kUnitSize) : rest;
    Status whole = readable(part);
    if (!whole && !lost(whole.error())) return whole;
    for (Run units = part; !whole;) {
      const Run unit = units.units() > 1 ? units.keep_front(1) : units;
      const Status read = readable(unit);
      if (!read && !lost(read.error())) return read;
      if (!read) bad(range_of(unit), read.error());
      if (units.units() == 1) break;
      units = units.drop_front(1);
    }
    if (part.units() == rest.units()) return {};
    rest = rest.drop_front(part.units());
  }
}

Status each_content(const Store& store, Scope bucket, const std::function<Status()>& proceed,
                    const std::function<void(Ino ino, Ino cid)>& visit) {
  for (const char kind : {'i', 'v'}) {
    std::string from = kind_begin(kind, bucket);
    for (bool finished = false; !finished;) {
      PAILFS_TRY(proceed());
      PAILFS_ASSIGN(const VerifiedBatch batch,
                    read_verified(store, bucket, std::move(from), kind_end(kind, bucket), kBatchEntries, kBatchBytes));
      for (const StoreView::Entry& entry : batch.entries) {
        const auto record = decode_inode(entry.value);
        if (record && record->cid != 0) visit(ino_of_key(entry.key), record->cid);
      }
      from = batch.next;
      finished = batch.finished;
    }
  }
  return {};
}

Result<std::map<uint64_t, uint64_t>> content_in(Store& store, const std::set<uint64_t>& segments) {
  std::map<uint64_t, uint64_t> ends;
  const auto note = [&](const ExtentList& extents) {
    for (const Extent& extent : extents) {
      if (!segments.contains(extent.run.segment)) continue;
      uint64_t& end = ends[extent.run.segment];
      end = std::max(end, extent.run.offset + extent.run.stored_length());
    }
  };
  for (const Scope scope : store.keyring().scopes()) {
    for (const char kind : {'i', 'v', 'c'}) {
      const Status scanned = scan_range(store, scope, kind_begin(kind, scope), kind_end(kind, scope),
                                        [&](const StoreView::Entry& entry) -> Result<bool> {
                                          if (kind == 'c') {
                                            PAILFS_ASSIGN(const ExtentList extents, decode_extents(entry.value));
                                            note(extents);
                                          } else {
                                            PAILFS_ASSIGN(const InodeRecord record, decode_inode(entry.value));
                                            note(record.extents);
                                          }
                                          return true;
                                        });
      if (!scanned && store.has_scope(scope)) return std::unexpected(scanned.error());  // or it was deleted meanwhile
    }
  }
  return ends;
}

}  // namespace pailfs
