#include "store/index_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/codec.h"
#include "base/logging.h"

namespace pailfs {

namespace {

constexpr std::string_view kMagic = "PAILCOPY";
constexpr size_t kSaltBytes = 32;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kBlockBytes = size_t{256} << 10;  // of changes; a block holds at least one change
constexpr size_t kMaxBlock = (size_t{2} << 20) + kTagSize;
constexpr size_t kScanEntries = 2048;  // of one look at the index
constexpr char kChanges = 'C';
constexpr char kEnd = 'E';

struct Header {
  char kind = 0;  // 'b' or 'j'
  uint64_t generation = 0;
  uint64_t part = 0;
  std::string salt;
};

std::string encode_header(const Header& header) {
  Encoder out;
  out.raw(kMagic);
  out.u8(1);
  out.u8(static_cast<uint8_t>(header.kind));
  out.raw(std::string(6, '\0'));
  out.u64(header.generation);
  out.u64(header.part);
  out.raw(header.salt);
  return out.take();
}

Nonce block_nonce(uint64_t number) {
  Nonce nonce{};
  for (size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<char>(number >> (8 * i));
  return nonce;
}

Secret file_key(const Secret& key, std::string_view salt) { return hkdf(key.view(), salt, "pailfs index copy"); }

}  // namespace

// Appends sealed blocks to a new file.
class IndexCopyWriter {
 public:
  static Result<std::unique_ptr<IndexCopyWriter>> create(Env& env, const std::string& path, const Secret& key,
                                                         std::string_view uuid, const Header& header) {
    PAILFS_ASSIGN(auto file, env.open(path, OpenMode::kCreate));
    const std::string bytes = encode_header(header);
    PAILFS_TRY(file->write_at(0, bytes));
    return std::unique_ptr<IndexCopyWriter>(
        new IndexCopyWriter(std::move(file), file_key(key, header.salt), bytes + std::string(uuid)));
  }

  Status add(std::string_view key, const std::optional<std::string>& value) {
    if (block_.size() == 0) block_.u8(kChanges);
    block_.bytes(key);
    block_.u8(value ? 0 : 1);
    if (value) block_.bytes(*value);
    return block_.size() < kBlockBytes ? Status{} : flush();
  }

  Status end(uint64_t before, uint64_t last_seq) {
    PAILFS_TRY(flush());
    block_.u8(kEnd);
    block_.varint(before);
    block_.varint(last_seq);
    PAILFS_TRY(flush());
    return file_->sync_data();
  }

  uint64_t bytes() const { return at_; }

 private:
  IndexCopyWriter(std::unique_ptr<File> file, const Secret& key, std::string aad)
      : file_(std::move(file)), cipher_(key), aad_(std::move(aad)) {}

  Status flush() {
    if (block_.size() == 0) return {};
    const std::string payload = std::exchange(block_, Encoder()).take();
    std::string sealed(4 + payload.size() + kTagSize, '\0');
    cipher_.seal(block_nonce(number_++), aad_, payload, std::span<char>(sealed).subspan(4));
    for (size_t i = 0; i < 4; ++i) sealed[i] = static_cast<char>((sealed.size() - 4) >> (8 * i));
    PAILFS_TRY(file_->write_at(at_, sealed));
    at_ += sealed.size();
    return {};
  }

  const std::unique_ptr<File> file_;
  const Aead cipher_;
  const std::string aad_;
  Encoder block_;
  uint64_t number_ = 0;
  uint64_t at_ = kHeaderBytes;
};

namespace {

// Reads blocks from the front until one is missing, cut off or does not verify.
class Reader {
 public:
  static Result<Reader> open(Env& env, const std::string& path, const Secret& key, std::string_view uuid,
                             const Header& wanted) {
    PAILFS_ASSIGN(auto file, env.open(path, OpenMode::kRead));
    std::string bytes(kHeaderBytes, '\0');
    PAILFS_ASSIGN(const size_t got, file->read_at(0, bytes));
    bytes.resize(got);
    Header header = wanted;
    header.salt = got == kHeaderBytes ? bytes.substr(kHeaderBytes - kSaltBytes) : std::string(kSaltBytes, '\0');
    const bool right = bytes == encode_header(header);
    return Reader(std::move(file), right, file_key(key, header.salt), bytes + std::string(uuid));
  }

  // Nullopt: there is no further whole block.
  Result<std::optional<std::string>> next() {
    if (!right_) return std::nullopt;
    std::string prefix(4, '\0');
    PAILFS_ASSIGN(size_t got, file_->read_at(at_, prefix));
    if (got != 4) return std::nullopt;
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length |= size_t{static_cast<unsigned char>(prefix[i])} << (8 * i);
    if (length <= kTagSize || length > kMaxBlock) return std::nullopt;
    std::string sealed(length, '\0');
    PAILFS_ASSIGN(got, file_->read_at(at_ + 4, sealed));
    std::string payload(length - kTagSize, '\0');
    if (got != length || !cipher_->open(block_nonce(number_), aad_, sealed, payload)) return std::nullopt;
    ++number_;
    at_ += 4 + length;
    return payload;
  }
  uint64_t bytes() const { return at_; }

 private:
  Reader(std::unique_ptr<File> file, bool right, const Secret& key, std::string aad)
      : file_(std::move(file)), right_(right), cipher_(std::make_unique<Aead>(key)), aad_(std::move(aad)) {}
  std::unique_ptr<File> file_;
  bool right_;
  std::unique_ptr<Aead> cipher_;
  std::string aad_;
  uint64_t number_ = 0;
  uint64_t at_ = kHeaderBytes;
};

Status decode_changes(std::string_view payload, std::vector<IndexChange>& changes) {
  Decoder in(payload);
  while (in.ok() && !in.done()) {
    IndexChange change;
    change.key = in.bytes();
    if (in.u8() == 0) change.value = std::string(in.bytes());
    changes.push_back(std::move(change));
  }
  return in.ok() ? Status{} : fail(Code::kCorrupt, "a block of the index copy cannot be read");
}

std::string base_name(uint64_t generation) { return fmt::format("base-{:016x}", generation); }
std::string journal_name(uint64_t generation, uint64_t part) {
  return fmt::format("journal-{:016x}-{:08x}", generation, part);
}

std::optional<uint64_t> parse_hex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

}  // namespace

struct IndexCopy::Names {
  std::vector<uint64_t> bases;                          // ascending
  std::vector<std::pair<uint64_t, uint64_t>> journals;  // generation and part, ascending
};

IndexCopy::IndexCopy(Env& env, std::string directory, const Keyring& keyring, std::string uuid, uint64_t least_journal)
    : env_(env),
      directory_(std::move(directory)),
      key_(keyring.derive("index copy")),
      uuid_(std::move(uuid)),
      least_journal_(least_journal) {}
IndexCopy::~IndexCopy() = default;

Result<IndexCopy::Names> IndexCopy::list() const {
  Names names;
  PAILFS_ASSIGN(const auto files, env_.list_dir(directory_));
  for (const std::string& name : files) {
    const std::string_view text = name;
    if (text.starts_with("base-")) {
      const auto generation = parse_hex(text.substr(5));
      if (generation && name == base_name(*generation)) names.bases.push_back(*generation);
    } else if (text.starts_with("journal-") && text.size() == 33) {
      const auto generation = parse_hex(text.substr(8, 16));
      const auto part = parse_hex(text.substr(25));
      if (generation && part && name == journal_name(*generation, *part))
        names.journals.emplace_back(*generation, *part);
    }
  }
  std::ranges::sort(names.bases);
  std::ranges::sort(names.journals);
  return names;
}

void IndexCopy::lost(const Error& why) {
  journal_ = nullptr;
  gap_ = true;
  log_warning("{}: the second copy of the index has a gap until it is written anew: {}", directory_, why.message);
}

Status IndexCopy::begin_journal(uint64_t generation, uint64_t part) {
  const Header header{'j', generation, part, env_.random_bytes(kSaltBytes)};
  const std::string path = directory_ + "/" + journal_name(generation, part);
  auto journal = IndexCopyWriter::create(env_, path, key_, uuid_, header);
  if (!journal) {
    (void)env_.remove(path);  // without a header it would look like damage
    return std::unexpected(journal.error());
  }
  journal_ = std::move(*journal);
  generation_ = generation;
  ended_ = kHeaderBytes;
  return env_.sync_dir(directory_);
}

Status IndexCopy::make_directory() {
  PAILFS_ASSIGN(const bool there, env_.exists(directory_));
  if (there) return {};
  PAILFS_TRY(env_.make_dir(directory_));
  return env_.sync_dir(directory_.substr(0, directory_.rfind('/')));
}

void IndexCopy::begin(bool current, bool index_is_empty) {
  const MutexLock lock(mutex_);
  const auto start = [&]() REQUIRES(mutex_) -> Status {
    PAILFS_TRY(make_directory());
    PAILFS_ASSIGN(const Names names, list());
    uint64_t generation = names.bases.empty() ? 1 : names.bases.back();
    remove_older(generation);  // once more: a crash may have brought it back
    uint64_t part = 1;
    for (const auto& [g, p] : names.journals) {
      if (g >= generation) part = p + 1;
      generation = std::max(generation, g);
    }
    if (!names.bases.empty()) {
      if (const auto file = env_.open(directory_ + "/" + base_name(names.bases.back()), OpenMode::kRead)) {
        base_bytes_ = (*file)->size().value_or(0);
      }
    }
    const bool nothing = names.bases.empty() && names.journals.empty();
    gap_ = nothing ? !index_is_empty : !current;
    return begin_journal(generation, part);
  };
  if (const Status begun = start(); !begun) lost(begun.error());
}

void IndexCopy::add(const std::vector<IndexChange>& changes) {
  const MutexLock lock(mutex_);
  if (journal_ == nullptr) return;
  for (const IndexChange& change : changes) {
    if (const Status added = journal_->add(change.key, change.value); !added) return lost(added.error());
  }
}

void IndexCopy::end_checkpoint(uint64_t before, uint64_t last_seq) {
  const MutexLock lock(mutex_);
  if (journal_ == nullptr) return;
  const uint64_t bytes = journal_->bytes();
  if (const Status ended = journal_->end(before, last_seq); !ended) return lost(ended.error());
  ended_ = journal_->bytes();
  journal_bytes_ += ended_ - bytes;
}

bool IndexCopy::wants_base() const { return gap_ || journal_bytes_ > std::max(least_journal_, base_bytes_.load()); }

// And what a base that was never finished left. Counts what stays.
void IndexCopy::remove_older(uint64_t generation) {
  const auto names = list();
  const auto files = env_.list_dir(directory_);
  if (!names || !files) return;
  for (const std::string& name : *files) {
    if (name.ends_with(".new")) (void)env_.remove(directory_ + "/" + name);
  }
  uint64_t kept = 0;
  for (const uint64_t base : names->bases) {
    if (base < generation) (void)env_.remove(directory_ + "/" + base_name(base));
  }
  for (const auto& [g, p] : names->journals) {
    const std::string path = directory_ + "/" + journal_name(g, p);
    if (g < generation) {
      (void)env_.remove(path);
    } else if (const auto file = env_.open(path, OpenMode::kRead)) {
      kept += (*file)->size().value_or(0);
    }
  }
  journal_bytes_ = kept;
}

Status IndexCopy::write_base(Index& index, Mutex& checkpoints, const std::function<uint64_t()>& last_seq,
                             const std::atomic<bool>& stop) {
  uint64_t generation = 0;
  uint64_t from_seq = 0;
  {
    const MutexLock checkpoint(checkpoints);
    const MutexLock lock(mutex_);
    PAILFS_TRY(make_directory());  // somebody may have removed it
    // Above what an attempt that failed may have left, too.
    PAILFS_ASSIGN(const Names names, list());
    generation = generation_;
    if (!names.bases.empty()) generation = std::max(generation, names.bases.back());
    if (!names.journals.empty()) generation = std::max(generation, names.journals.back().first);
    ++generation;
    from_seq = last_seq();
    // From here on every checkpoint is in the new journal, and so what the scan below sees of it.
    PAILFS_TRY(begin_journal(generation, 1));
  }
  const std::string path = directory_ + "/" + base_name(generation);
  const std::string unfinished = path + ".new";
  (void)env_.remove(unfinished);
  const Header header{'b', generation, 0, env_.random_bytes(kSaltBytes)};
  const auto write = [&]() -> Result<uint64_t> {
    PAILFS_ASSIGN(const auto base, IndexCopyWriter::create(env_, unfinished, key_, uuid_, header));
    std::string from(1, '\0');
    for (bool more = true; more;) {
      if (stop) return fail(Code::kInterrupted, "the store closes");
      PAILFS_ASSIGN(const auto snapshot, index.snapshot());
      PAILFS_ASSIGN(auto entry, snapshot->seek(from));
      for (size_t n = 0; entry && n < kScanEntries; ++n) {
        PAILFS_TRY(base->add(entry->key, std::string(entry->value)));
        from = std::string(entry->key) + '\0';
        PAILFS_ASSIGN(entry, snapshot->next());
      }
      more = entry.has_value();
    }
    PAILFS_TRY(base->end(0, from_seq));
    PAILFS_TRY(env_.rename(unfinished, path));
    PAILFS_TRY(env_.sync_dir(directory_));
    return base->bytes();
  };
  const Result<uint64_t> written = write();
  if (!written) {
    (void)env_.remove(unfinished);
    return std::unexpected(written.error());
  }
  base_bytes_ = *written;
  {
    const MutexLock lock(mutex_);
    if (journal_ != nullptr) gap_ = false;
  }
  remove_older(generation);
  return {};
}

Result<std::vector<std::pair<std::string, uint64_t>>> IndexCopy::files() {
  const MutexLock lock(mutex_);
  PAILFS_ASSIGN(const Names names, list());
  if (gap_ || names.journals.empty()) return fail(Code::kNotFound, "the index has no whole copy");
  const uint64_t first = names.bases.empty() ? 1 : names.bases.back();
  std::vector<std::pair<std::string, uint64_t>> out;
  const auto add = [&](const std::string& name) -> Status {
    PAILFS_ASSIGN(const auto file, env_.open(directory_ + "/" + name, OpenMode::kRead));
    PAILFS_ASSIGN(const uint64_t size, file->size());
    out.emplace_back(name, size);
    return {};
  };
  if (!names.bases.empty()) PAILFS_TRY(add(base_name(first)));
  for (const auto& [g, p] : names.journals) {
    if (g >= first) PAILFS_TRY(add(journal_name(g, p)));
  }
  if (journal_ != nullptr) out.back().second = ended_;
  return out;
}

Result<IndexCopy::Found> IndexCopy::replay(const std::function<Status(std::vector<IndexChange>)>& sink,
                                           const std::function<Status(uint64_t, uint64_t)>& proceed) const {
  PAILFS_ASSIGN(const Names names, list());
  if (names.bases.empty() && names.journals.empty()) {
    return fail(Code::kNotFound, fmt::format("{} holds no copy of the index", directory_));
  }
  const auto damaged = [&](const std::string& name, std::string_view what) {
    return fail(Code::kCorrupt, fmt::format("{}/{}: {}", directory_, name, what));
  };
  Found found;
  found.generation = names.bases.empty() ? 1 : names.bases.back();
  uint64_t total = 0;
  std::vector<std::pair<std::string, Header>> files;
  if (!names.bases.empty()) files.emplace_back(base_name(found.generation), Header{'b', found.generation, 0, {}});
  for (const auto& [g, p] : names.journals) {
    if (g >= found.generation) files.emplace_back(journal_name(g, p), Header{'j', g, p, {}});
  }
  for (const auto& [name, header] : files) {
    PAILFS_ASSIGN(const auto file, env_.open(directory_ + "/" + name, OpenMode::kRead));
    PAILFS_ASSIGN(const uint64_t size, file->size());
    total += size;
  }
  std::string last_name;
  std::map<uint64_t, uint64_t> parts;  // generation to the part that comes next
  for (const auto& [name, header] : files) {
    if (header.kind == 'j') {
      auto [part, first] = parts.try_emplace(header.generation, 1);
      if (header.part != part->second++) return damaged(name, "the part before it is missing");
    }
    PAILFS_ASSIGN(Reader reader, Reader::open(env_, directory_ + "/" + name, key_, uuid_, header));
    std::vector<IndexChange> changes;
    bool ended = false;
    uint64_t counted = 0;
    while (true) {
      PAILFS_ASSIGN(const auto payload, reader.next());
      found.bytes += reader.bytes() - counted;
      counted = reader.bytes();
      PAILFS_TRY(proceed(found.bytes, total));
      if (!payload) break;
      const std::string_view rest = std::string_view(*payload).substr(1);
      if (payload->front() == kChanges) {
        PAILFS_TRY(decode_changes(rest, changes));
        // A base is as good as its end; what a journal says counts when its checkpoint is whole.
        if (header.kind == 'j') continue;
      } else if (payload->front() == kEnd) {
        Decoder in(rest);
        const uint64_t before = in.varint();
        const uint64_t last_seq = in.varint();
        if (!in.done()) return damaged(name, "a block cannot be read");
        if (before > found.last_seq) {
          return damaged(name, fmt::format("checkpoints before it are missing{}{}: the copy cannot be used",
                                           last_name.empty() ? "" : ", at the end of ", last_name));
        }
        found.last_seq = std::max(found.last_seq, last_seq);
        ended = true;
      } else {
        return damaged(name, "a block of an unknown kind: a newer pailfs wrote it");
      }
      found.entries += changes.size();
      if (!changes.empty()) PAILFS_TRY(sink(std::exchange(changes, {})));
    }
    if (header.kind == 'b' && !ended) return damaged(name, "it is damaged or cut off");
    last_name = name;
  }
  return found;
}

}  // namespace pailfs
