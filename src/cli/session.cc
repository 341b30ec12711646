#include "cli/session.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "ctl/commands.h"
#include "ctl/secrets.h"
#include "store/superblock.h"

namespace pailfs::cli {
namespace {

namespace fs = std::filesystem;

class OwnGroups : public GroupSource {
 public:
  const std::vector<uint32_t>& groups() override {
    if (!loaded_) {
      const int n = ::getgroups(0, nullptr);
      groups_.resize(n > 0 ? static_cast<size_t>(n) : 0);
      const int got = ::getgroups(static_cast<int>(groups_.size()), groups_.data());
      groups_.resize(got > 0 ? static_cast<size_t>(got) : 0);
      loaded_ = true;
    }
    return groups_;
  }

 private:
  bool loaded_ = false;
  std::vector<uint32_t> groups_;
};

// Which stores are mounted here, for the message that asks for one.
std::string mounted_stores() {
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  std::string out;
  for (const MountEntry& mount : parse_mountinfo(text.str())) {
    if (mount.type != "fuse.pailfs") continue;
    out += fmt::format("{}{} on {}", out.empty() ? "; mounted here: " : ", ", mount.source, mount.mountpoint);
  }
  return out;
}

}  // namespace

std::string absolute_path(const std::string& path) {
  std::error_code error;
  std::string out = fs::weakly_canonical(fs::absolute(path), error).string();
  if (error) return path;
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

Result<std::optional<UnlockSecret>> secret_from_options(Invocation& invocation) {
  Env& env = posix_env();
  const CommonOptions& common = invocation.common;
  if (!common.key_file.empty()) {
    if (readable_by_others(common.key_file)) {
      invocation.warn(
          fmt::format("warning: others than its owner can read the key file {}: chmod 600 it", common.key_file));
    }
    return read_key_file(env, common.key_file);
  }
  if (!common.passphrase_file.empty()) return read_passphrase_file(env, common.passphrase_file);
  if (!common.recovery_key_file.empty()) return read_recovery_key_file(env, common.recovery_key_file);
  return std::nullopt;
}

Result<UnlockSecret> secret_or_ask(Invocation& invocation, const std::string& store) {
  PAILFS_ASSIGN(std::optional<UnlockSecret> secret, secret_from_options(invocation));
  if (secret) return std::move(*secret);
  if (!invocation.console.interactive()) {
    const std::vector<std::string> dead = dead_mounts(store);
    return fail(Code::kWrongKey,
                fmt::format("no daemon serves the store {}, so it must be unlocked here: give --key-file or "
                            "--passphrase-file{}",
                            store, dead.empty() ? "" : "; " + dead_mount_text(dead.front())));
  }
  PAILFS_ASSIGN(const Secret typed, invocation.console.ask_secret(fmt::format("Passphrase of the store {}: ", store)));
  return make_secret(SlotKind::kPassphrase, typed.view());
}

Status check_owner(const std::string& store) {
  PAILFS_ASSIGN(const uint32_t owner, store_owner(store));
  if (owner == ::geteuid()) return {};
  return fail(Code::kNotPermitted, fmt::format("the store {} belongs to uid {}, and no daemon serves it: run this as "
                                               "that user",
                                               store, owner));
}

Status check_future_owner(const std::string& directory) {
  const auto owner = store_owner(directory);
  if (!owner || *owner == ::geteuid()) return {};
  return fail(Code::kNotPermitted,
              fmt::format("{} belongs to uid {}, who would own the store: run this as that user", directory, *owner));
}

Result<Place> choose_store(const CommonOptions& common, const std::optional<std::string>& path) {
  const std::string named = !common.store.empty() ? common.store : path.value_or(".");
  // Whoever looks at a path on the mount of a daemon that is stopped waits as long as it is.
  if (const auto written = locate_as_written(named)) {
    const auto served = ControlClient::connect(posix_env(), written->store);
    if (!served && served.error().code == Code::kBusy) return std::unexpected(served.error());
  }
  PAILFS_ASSIGN(const std::optional<MountedPath> mounted, locate(named));
  if (!common.store.empty()) return Place{mounted ? mounted->store : absolute_path(common.store), std::nullopt, {}};
  if (mounted) return Place{mounted->store, mounted->inside, mounted->mountpoint};
  return fail(Code::kInvalid, fmt::format("{} is not on a mounted store: name the store with --store DIR{}",
                                          path ? *path : std::string("the current directory"), mounted_stores()));
}

Result<Place> choose(const CommonOptions& common, const std::string& path) {
  auto place = choose_store(common, path.empty() ? std::nullopt : std::optional(path));
  if (place || path.empty() || !common.store.empty()) return place;
  CommonOptions as_store = common;
  as_store.store = path;
  return choose_store(as_store, std::nullopt);
}

Result<std::unique_ptr<Session>> Session::open(Invocation& invocation, const std::string& store, Access access) {
  Env& env = posix_env();
  std::unique_ptr<Session> session(new Session(invocation));
  auto client = ControlClient::connect(env, store);
  if (client) {
    session->client_ = std::move(*client);
    return session;
  }
  if (client.error().code != Code::kNotFound) return std::unexpected(std::move(client).error());
  PAILFS_TRY(read_superblock(env, store));
  PAILFS_TRY(check_owner(store));
  PAILFS_ASSIGN(const UnlockSecret secret, secret_or_ask(invocation, store));
  StoreOptions options;
  options.read_only = access == Access::kRead;
  auto opened = Store::open(env, store, secret, options);
  if (!opened && opened.error().code == Code::kInUse) {
    return fail(Code::kInUse, fmt::format("the store {} is in use, and no daemon of it can be reached from here: {}",
                                          store, opened.error().message));
  }
  if (!opened) return std::unexpected(std::move(opened).error());
  session->store_ = std::move(*opened);
  PAILFS_ASSIGN(session->core_, Core::open(*session->store_, ::geteuid()));
  return session;
}

Session::~Session() = default;

Result<Json> Session::run_here(std::string_view op, const Json& args, const Progress& progress) {
  OwnGroups groups;
  const Caller caller{::geteuid(), ::getegid(), static_cast<uint32_t>(::getpid()), 0, Door::kControl, &groups};
  return run_command({*core_, caller, nullptr, progress}, op, args);
}

Result<Json> Session::request(std::string_view op, const Json& args) {
  const Progress progress = invocation_.progress();
  auto result = client_ ? client_->request(op, args, progress) : run_here(op, args, progress);
  invocation_.console.end_progress();
  return result;
}

Status Session::close() {
  client_.reset();
  Status done;
  if (core_) done = core_->keep_retention_clock(true);
  core_.reset();
  if (store_) {
    const Status closed = store_->close();
    if (done) done = closed;
  }
  store_.reset();
  return done;
}

Result<Json> request_once(Invocation& invocation, const std::string& store, Access access, std::string_view op,
                          const Json& args) {
  PAILFS_ASSIGN(const std::unique_ptr<Session> session, Session::open(invocation, store, access));
  auto result = session->request(op, args);
  const Status closed = session->close();
  if (result && !closed) return std::unexpected(closed.error());
  return result;
}

}  // namespace pailfs::cli
