#include "store/store.h"

#include <algorithm>

#include "base/logging.h"
#include "index/lmdb_index.h"
#include "store/layout.h"
#include "store/superblock.h"
#include "store/view_impl.h"

namespace pailfs {

Store::Impl::Impl(Env& e, std::unique_ptr<Keyring> k, std::unique_ptr<Index> i, std::unique_ptr<LogStorage> s,
                  std::string id, const StoreOptions& o, std::string reserve_path)
    : env(e),
      keyring(std::move(k)),
      index(std::move(i)),
      storage(std::move(s)),
      uuid(std::move(id)),
      options(o),
      reserve(e, std::move(reserve_path), o.reserve_bytes),
      ciphers(*keyring),
      value_salt(e.random_bytes(16)) {
  const MutexLock lock(state_mutex);
  active = std::make_shared<Generation>();
  publish_tables();
}

Store::Impl::~Impl() { stop_threads(); }

namespace {
Status make_layout(Env& env, const std::string& directory, const UnlockSecret& secret, const std::string& label,
                   const ScryptCost& cost) {
  // First, so that one that is cut off is known for what it is.
  PAILFS_TRY(write_unfinished(env, directory));
  for (const std::string& path : {index_directory(directory), log_directory(directory)}) {
    PAILFS_ASSIGN(const bool there, env.exists(path));
    if (!there) PAILFS_TRY(env.make_dir(path));
  }
  const std::string uuid = make_uuid(env);
  PAILFS_ASSIGN(const std::string id, uuid_bytes(uuid));
  PAILFS_TRY(Keyring::create(env, directory, id, secret, label, cost));
  // The superblock last: a directory with one is a whole store.
  PAILFS_TRY(write_superblock(env, directory, {kFormat, uuid, env.now()}));
  return env.sync_dir(directory);
}
}  // namespace

Status Store::create(Env& env, const std::string& directory, const UnlockSecret& secret, const std::string& label,
                     const ScryptCost& cost) {
  PAILFS_ASSIGN(const bool there, env.exists(directory));
  if (there) {
    PAILFS_ASSIGN(const auto names, list_store(env, directory));
    bool unfinished = false;
    if (std::ranges::find(names, "pailfs.store") != names.end()) {
      PAILFS_ASSIGN(unfinished, is_unfinished(env, directory));
      if (!unfinished) {
        return fail(Code::kExists, fmt::format("{} is a pailfs store already; it was left as it is", directory));
      }
    }
    if (!names.empty() && !unfinished) {
      return fail(Code::kNotEmpty, fmt::format("{} is not empty (it holds {}); a store needs an empty or new directory",
                                               directory, names.front()));
    }
  } else {
    PAILFS_TRY(env.make_dir(directory));
  }
  Status made = make_layout(env, directory, secret, label, cost);
  if (made && !there) {
    const size_t slash = directory.find_last_not_of('/') == std::string::npos
                             ? std::string::npos
                             : directory.rfind('/', directory.find_last_not_of('/'));
    made = env.sync_dir(slash == std::string::npos ? "." : slash == 0 ? "/" : directory.substr(0, slash));
  }
  if (!made) {
    for (const char* name : {"/keyring.0", "/keyring.1", "/index", "/log", "/pailfs.store", ""}) {
      if (*name != '\0' || !there) (void)env.remove(directory + name);
    }
  }
  return made;
}

namespace {
Result<std::unique_ptr<Index>> open_index(Env& env, const std::string& directory, const Keyring& keyring,
                                          std::string_view uuid, const StoreOptions& options) {
  if (options.new_index) return open_lmdb_index(new_index_directory(directory), {});
  PAILFS_ASSIGN(const bool lost, index_is_lost(env, directory));
  if (lost && options.repair == RepairMode::kRehearse) return fail(Code::kCorrupt, "the store has no index");
  if (lost) {
    log_warning("{} has no index: it is built anew from its copy", directory);
    PAILFS_TRY(build_index(env, directory, keyring, uuid, nullptr));
    PAILFS_TRY(install_index(env, directory, false));
  }
  auto index = open_lmdb_index(index_directory(directory), {});
  if (!index && index.error().code == Code::kCorrupt) {
    return fail(Code::kCorrupt, fmt::format("{}; 'pail rebuild-index {}' builds it anew from its copy",
                                            index.error().message, directory));
  }
  return index;
}
}  // namespace

Result<std::unique_ptr<Store>> Store::open(Env& env, const std::string& directory, const UnlockSecret& secret,
                                           const StoreOptions& options) {
  PAILFS_ASSIGN(const Superblock superblock, read_superblock(env, directory));
  PAILFS_ASSIGN(const std::string id, uuid_bytes(superblock.uuid));
  PAILFS_ASSIGN(auto lock, env.lock_file(lock_path(directory)));
  const bool writes = !options.read_only && options.repair != RepairMode::kRehearse;
  PAILFS_ASSIGN(auto keyring, Keyring::unlock(env, directory, id, secret, !writes));
  PAILFS_ASSIGN(auto index, open_index(env, directory, *keyring, id, options));
  auto storage = make_file_log_storage(env, log_directory(directory));
  // A small disk keeps a small reserve.
  StoreOptions adapted = options;
  adapted.index_copy = copy_directory(directory);
  if (const auto space = env.space(directory))
    adapted.reserve_bytes = std::min(adapted.reserve_bytes, space->total / 16);
  std::unique_ptr<Store> store(
      new Store(std::make_unique<Impl>(env, std::move(keyring), std::move(index), std::move(storage), superblock.uuid,
                                       adapted, writes ? reserve_file(directory) : "")));
  store->impl_->store_lock = std::move(lock);
  store->impl_->directory = directory;
  PAILFS_TRY(store->impl_->recover());
  return store;
}

Result<std::unique_ptr<Store>> Store::open_with(Env& env, std::unique_ptr<Keyring> keyring,
                                                std::unique_ptr<Index> index, std::unique_ptr<LogStorage> storage,
                                                std::string uuid, const StoreOptions& options) {
  std::unique_ptr<Store> store(new Store(std::make_unique<Impl>(env, std::move(keyring), std::move(index),
                                                                std::move(storage), std::move(uuid), options, "")));
  PAILFS_TRY(store->impl_->recover());
  return store;
}

// Where the log goes on behind what the index has.
Result<LogStart> Store::Impl::start_of_log() {
  const std::string position_key = internal::key1(internal::kPosition);
  PAILFS_ASSIGN(const auto snapshot, index->snapshot());
  PAILFS_ASSIGN(const auto sealed, snapshot->get(position_key));
  LogStart start;
  if (sealed) {
    PAILFS_ASSIGN(const std::string value, unseal(kStoreScope, position_key, *sealed));
    PAILFS_ASSIGN(const IndexPosition held, internal::decode_position(value));
    const MutexLock lock(checkpoint_mutex);
    index_position = held;
    completed_epoch = held.epoch;
    start = {held.position, held.last_seq, held.chain};
  }
  if (start.position.segment != 0) return start;
  PAILFS_ASSIGN(const std::vector<uint64_t> present, storage->list());
  const auto scopes = keyring->scopes();
  const bool used = std::ranges::any_of(scopes, [](Scope scope) { return scope != kStoreScope; });
  if (present.empty() && used) PAILFS_TRY(history_is_lost("the log is empty, and there are keys of buckets"));
  return start;
}

Status Store::Impl::recover() {
  PAILFS_ASSIGN(const LogStart start, start_of_log());
  current_epoch = completed_epoch + 1;
  uint64_t last_seq = start.last_seq;
  GenerationPtr generation;
  {
    const MutexLock lock(state_mutex);
    active->epoch = current_epoch;
    generation = active;
  }
  const auto replay = [&](const FrameInfo& info, std::string_view payload) -> Status {
    PAILFS_ASSIGN(const internal::FrameContent content, internal::decode_frame(payload));
    std::vector<IndexChange> changes;
    changes.reserve(content.changes.size());
    for (const auto& change : content.changes) {
      changes.push_back(
          {std::string(change.key), change.erase ? std::nullopt : std::optional<std::string>(change.value)});
    }
    const MutexLock lock(state_mutex);
    generation->table->apply(std::move(changes));
    (void)generation->table->take_changes();  // they are in a frame already
    generation->begun = env.monotonic();
    generation->frames.push_back({info.begin.segment, info.begin.offset, info.end.offset - info.begin.offset});
    generation->position = {info.end, info.last_seq, info.chain, generation->epoch};
    last_seq = info.last_seq;
    return {};
  };
  const Secret log_key = keyring->derive("log");
  PAILFS_ASSIGN(const std::string id, uuid_bytes(uuid));
  const auto open_log = [&]() -> Result<std::unique_ptr<Log>> {
    {
      const MutexLock lock(state_mutex);
      generation->frames.clear();
    }
    if (options.read_only || options.repair == RepairMode::kRehearse) {
      return Log::open_read_only(*storage, env, log_key, id, options.log, start, replay, false);
    }
    return Log::open(*storage, env, log_key, id, options.log, start, replay);
  };
  auto opened = open_log();
  // Replaying twice changes nothing.
  if (!opened && opened.error().code == Code::kNoSpace && reserve.release()) opened = open_log();
  const bool no_index = start.position.segment == 0;
  if (!opened && opened.error().code == Code::kCorrupt && options.repair != RepairMode::kNone) {
    const std::string why = opened.error().message;
    // What a log without its beginning says would be taken for all there is, and the rest given back.
    if (no_index) return history_is_lost(why);
    const auto note_lost = [this](const FrameInfo& info, std::string_view payload) {
      return note_lost_frame(info, payload);
    };
    opened = Log::salvage(*storage, env, log_key, id, options.log, start, replay, note_lost,
                          options.repair == RepairMode::kRepair);
    if (opened) log_damage = why.substr(0, why.find(". Nothing was changed"));
  }
  if (!opened && opened.error().code == Code::kCorrupt) {
    // What was replayed before the damage is a prefix; replaying it again changes nothing.
    const std::string why = opened.error().message;
    opened = Log::open_read_only(*storage, env, log_key, id, options.log, start, replay, true);
    if (opened) {
      if (no_index && (*opened)->recovery().frames == 0) return history_is_lost(why);
      log_damage = why;
      set_failed(why);
    }
  }
  if (!opened) return std::unexpected(opened.error());
  log = std::move(*opened);
  if (options.read_only && !failed) {
    const MutexLock lock(failure_mutex);
    failure = "it was opened read-only";
    failed = true;
  }
  {
    const MutexLock lock(state_mutex);
    seq = framed_seq = last_seq;
  }
  appended_seq = last_seq;
  {
    const MutexLock lock(sync_mutex);
    durable_seq = last_seq;
  }
  if (auto loaded = load_segments(); !loaded) {
    // Nothing can be given back then, and what was moved is not found: what can be read is served.
    if (loaded.error().code != Code::kCorrupt) return loaded;
    if (options.repair == RepairMode::kNone && !failed) set_failed(loaded.error().message + "; run 'pail check'");
  }
  if (failed || options.repair == RepairMode::kRehearse) return {};
  PAILFS_TRY(remove_rewritten());
  PAILFS_TRY(open_copy());
  reserve.replenish();
  if (options.background) start_threads();
  return {};
}

// The index holds nothing, and the log is no way to it: there is no telling what the store held.
Status Store::Impl::history_is_lost(std::string_view why) const {
  const std::string what =
      fmt::format("the index is missing or empty, and the log alone does not say what the store holds: {}",
                  why.substr(0, why.find(". Nothing was changed")));
  if (options.repair != RepairMode::kNone) return fail(Code::kCorrupt, what);
  bool copy_there = false;
  if (!options.index_copy.empty()) {
    if (const auto names = env.list_dir(options.index_copy)) copy_there = !names->empty();
  }
  return fail(Code::kCorrupt,
              fmt::format("{}. {}. Nothing was changed", what,
                          copy_there ? "'pail rebuild-index' builds the index anew from its copy"
                                     : "Its copy (index-copy) is gone too: put one of the two directories back, or "
                                       "restore a backup ('pail restore')"));
}

Result<uint64_t> Store::Impl::copied() const {
  const std::string key = internal::key1(internal::kCopied);
  PAILFS_ASSIGN(const auto snapshot, index->snapshot());
  PAILFS_ASSIGN(const auto sealed, snapshot->get(key));
  if (!sealed) return 0;
  PAILFS_ASSIGN(const std::string value, unseal(kStoreScope, key, *sealed));
  return Decoder(value).u64();
}

// False: there is a gap that the index knows of, and which the next base fills.
Result<bool> Store::Impl::copy_is_current() const {
  PAILFS_ASSIGN(const uint64_t whole_to, copied());
  const std::string key = internal::key1(internal::kPosition);
  PAILFS_ASSIGN(const auto snapshot, index->snapshot());
  PAILFS_ASSIGN(const auto sealed, snapshot->get(key));
  if (!sealed) return whole_to == 0;
  PAILFS_ASSIGN(const std::string value, unseal(kStoreScope, key, *sealed));
  PAILFS_ASSIGN(const IndexPosition position, internal::decode_position(value));
  return whole_to == position.last_seq;
}

Status Store::Impl::open_copy() {
  if (options.index_copy.empty() || options.read_only) return {};
  const auto copied_to = copied();
  if (!copied_to && copied_to.error().code != Code::kCorrupt) return std::unexpected(copied_to.error());
  const uint64_t whole_to = copied_to.value_or(0);  // a number that cannot be read: the copy is written anew
  bool empty = false;
  {
    PAILFS_ASSIGN(const auto snapshot, index->snapshot());
    PAILFS_ASSIGN(const auto first, snapshot->seek(std::string(1, '\0')));
    empty = !first;
  }
  PAILFS_ASSIGN(const std::string id, uuid_bytes(uuid));
  copy = std::make_unique<IndexCopy>(env, options.index_copy, *keyring, id, options.index_copy_journal);
  const MutexLock lock(checkpoint_mutex);
  copy->begin(whole_to == index_position.last_seq, empty);
  return {};
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Status Store::close() {
  impl_->stop_threads();
  if (impl_->closed) return {};
  impl_->closed = true;
  if (impl_->options.repair == RepairMode::kRehearse) return {};
  if (impl_->failed) return impl_->options.read_only ? Status{} : impl_->writable();
  PAILFS_TRY(impl_->sync_all());
  PAILFS_TRY(impl_->checkpoint_everything());
  return impl_->log->close();
}

Result<uint64_t> Store::commit(Transaction&& transaction) { return impl_->commit(std::move(transaction)); }
Status Store::sync() { return impl_->sync_all(); }

uint64_t Store::sequence() const {
  const MutexLock lock(impl_->state_mutex);
  return impl_->seq;
}

uint64_t Store::frame_sequence() const {
  const MutexLock lock(impl_->state_mutex);
  return impl_->framed_seq;
}

Result<Run> Store::append(Scope scope, std::string_view plaintext) { return impl_->append(scope, plaintext); }

void Store::discard(const Run& run) {
  Transaction tx;
  tx.release(run);
  (void)impl_->commit(std::move(tx));  // a store that takes no transaction gives nothing back either
}

Status Store::read(Scope scope, const Run& run, uint32_t skip, std::span<char> out) const {
  return impl_->read(scope, run, skip, out);
}

Status Store::create_scope(Scope scope) {
  PAILFS_TRY(impl_->writable());
  if (impl_->options.repair == RepairMode::kRehearse) return fail(Code::kReadOnly, "nothing is written now");
  return impl_->keyring->create_scope(scope);
}

Status Store::destroy_scope(Scope scope) {
  PAILFS_TRY(impl_->sync_all());
  if (impl_->options.repair == RepairMode::kRehearse) return {};
  PAILFS_TRY(impl_->keyring->destroy_scope(scope));
  impl_->ciphers.forget(scope);
  return {};
}

bool Store::has_scope(Scope scope) const { return impl_->keyring->scope(scope) != nullptr; }

std::array<char, 16> Store::token(Scope scope, std::string_view name) const {
  const auto names = impl_->ciphers.names(scope);
  return names == nullptr ? std::array<char, 16>{} : names->token(name);
}

Keyring& Store::keyring() { return *impl_->keyring; }
Status Store::checkpoint() { return impl_->checkpoint_everything(); }
Result<uint64_t> Store::reclaim() { return impl_->reclaim(); }
Env& Store::env() const { return impl_->env; }

bool Store::is_full() const { return impl_->reserve.spent(); }

Result<Space> Store::space() const {
  PAILFS_ASSIGN(Space space, impl_->env.space(impl_->directory.empty() ? "/" : impl_->directory));
  if (is_full()) space.available -= std::min(space.available, impl_->reserve.needed());
  return space;
}

StoreStatus Store::status() const {
  StoreStatus status;
  status.uuid = impl_->uuid;
  status.recovery = impl_->log->recovery();
  status.read_only = impl_->failed;
  {
    const MutexLock lock(impl_->failure_mutex);
    status.read_only_reason = impl_->failure;
  }
  {
    const MutexLock lock(impl_->state_mutex);
    status.sequence = impl_->seq;
    status.memtable_bytes = impl_->active->table->memory_bytes();
    for (const GenerationPtr& generation : impl_->waiting) status.memtable_bytes += generation->table->memory_bytes();
  }
  status.durable_sequence = impl_->durable();
  status.dead_bytes = impl_->released_waiting.load();
  if (const auto segments = impl_->log->segments()) {
    status.segments = segments->size();
    for (const uint64_t segment : *segments) {
      const uint64_t occupied = impl_->storage->allocated(segment).value_or(0);
      const uint64_t live = impl_->live_bytes(segment, impl_->storage->size(segment).value_or(0));
      status.log_bytes += occupied;
      if (segment != segments->back() && occupied > live) status.dead_bytes += occupied - live;
    }
  }
  if (const auto index = impl_->index->stats()) status.index_bytes = index->file_bytes;
  status.full = is_full();
  if (status.full) status.room_needed = impl_->reserve.needed();
  status.checkpoints = impl_->checkpoints;
  if (impl_->copy != nullptr) {
    status.index_copy_bytes = impl_->copy->bytes();
    status.index_copy_whole = impl_->copy->whole();
  }
  return status;
}

Result<std::optional<Store::LiveRoom>> Store::live_room() const { return impl_->live_room(); }

Status Store::check(bool deep, const CheckSink& report, const std::function<Status()>& proceed) const {
  return impl_->check(deep, report, proceed);
}

}  // namespace pailfs
