#include "ctl/client.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "crypto/secret.h"
#include "ctl/location.h"
#include "io/processes.h"
#include "store/superblock.h"

namespace pailfs {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// An operation may be silent for long (a purge, a deep check): the end of the connection is what ends the wait.
constexpr std::chrono::milliseconds kReplyLimit = std::chrono::hours(24 * 365);
constexpr auto kSendLimit = 30s;
constexpr auto kGlance = 2s;  // between two looks at a daemon that is silent

// Every control socket that a daemon of these uids may have, for when the store's UUID cannot be read.
std::vector<std::string> all_sockets(const std::set<uint32_t>& uids) {
  std::vector<std::string> out;
  for (const uint32_t uid : uids) {
    for (const std::string& any : control_socket_candidates(uid, uid, "*")) {
      std::error_code error;
      for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(any).parent_path(), error)) {
        if (entry.path().extension() == ".sock") out.push_back(entry.path().string());
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool same_place(const std::string& a, const std::string& b) {
  std::error_code error;
  const bool same = fs::equivalent(a, b, error);
  return error ? fs::path(a).lexically_normal() == fs::path(b).lexically_normal() : same;
}

Status check_running(const UnixConnection& connection) {
  const auto peer = connection.peer();
  const auto process = peer ? process_start(peer->pid) : std::nullopt;
  if (!process || !process->stopped) return {};
  return fail(Code::kBusy,
              fmt::format("the daemon, process {0}, is stopped and answers nobody: 'kill -CONT {0}' has it "
                          "go on",
                          peer->pid));
}

// Whether the daemon at the other end serves this directory. Fails where it cannot say so: it is stopped.
Result<bool> serves(ControlClient& client, const std::string& directory) {
  const auto status = client.request("status", Json::object(), {});
  if (!status && status.error().code == Code::kBusy) return std::unexpected(status.error());
  if (!status || !status->is_object()) return false;
  const auto daemon = status->find("daemon");
  if (daemon == status->end() || !daemon->is_object()) return false;
  const auto store = daemon->find("store");
  if (store == daemon->end()) return false;
  const auto path = json_to_bytes(*store);
  return path && same_place(*path, directory);
}

}  // namespace

Result<uint32_t> store_owner(const std::string& directory) {
  struct stat found{};
  if (::stat(directory.c_str(), &found) != 0) {
    return fail(Code::kNotFound,
                fmt::format("there is no store in {}: the directory is missing, or out of your reach", directory));
  }
  return found.st_uid;
}

ControlClient::ControlClient(std::unique_ptr<UnixConnection> connection)
    : connection_(std::move(connection)), reader_(*connection_, kMaxReply) {}

Result<std::unique_ptr<ControlClient>> ControlClient::connect_socket(const std::string& path) {
  PAILFS_ASSIGN(auto connection, UnixConnection::connect(path));
  return std::unique_ptr<ControlClient>(new ControlClient(std::move(connection)));
}

Result<std::unique_ptr<ControlClient>> ControlClient::connect(Env& env, const std::string& directory) {
  std::set<uint32_t> trusted{0, ::geteuid()};
  uint32_t owner = 0;
  if (const auto found = store_owner(directory)) owner = *found;
  trusted.insert(owner);
  std::vector<std::string> sockets;
  // Who serves it tells also where it cannot be read, as with a disk that failed or a directory that was moved.
  const auto superblock = read_superblock(env, directory);
  if (superblock) {
    sockets = control_socket_candidates(::geteuid(), owner, superblock->uuid);
  } else {
    sockets = all_sockets(trusted);
  }
  std::optional<Error> stopped;
  for (const std::string& path : sockets) {
    auto connection = UnixConnection::connect(path);
    if (!connection) continue;
    const auto peer = (*connection)->peer();
    if (!peer || !trusted.contains(peer->uid)) continue;
    std::unique_ptr<ControlClient> client(new ControlClient(std::move(*connection)));
    const auto served = serves(*client, directory);
    if (served && *served) return client;
    // Another store's daemon that is stopped says nothing of this one, and a copy of it has the same UUID.
    if (!served && superblock) stopped = served.error();
  }
  if (stopped) return std::unexpected(*stopped);
  if (!superblock) return std::unexpected(superblock.error());
  return fail(Code::kNotFound, fmt::format("no daemon serves the store {}", directory));
}

Result<Json> ControlClient::request(std::string_view op, const Json& args, const Progress& progress) {
  std::string line = encode_request({std::string(op), args});
  const Status sent = connection_->send(line, kSendLimit);
  wipe(line);
  for (;;) {
    // A daemon that takes no more connections answers without having been asked, and closes.
    Result<std::string> next = sent ? reader_.next(kGlance, kReplyLimit) : reader_.next(kSendLimit, kSendLimit);
    if (sent && !next && next.error().code == Code::kInterrupted) {
      PAILFS_TRY(check_running(*connection_));
      continue;
    }
    if (!sent && (!next || next->empty())) return context("the daemon went away", sent.error());
    PAILFS_ASSIGN(const std::string reply, std::move(next));
    if (reply.empty()) return fail(Code::kIo, "the daemon ended the connection before it answered: was it stopped?");
    PAILFS_ASSIGN(ControlReply parsed, parse_reply(reply));
    if (parsed.kind == ControlReply::Kind::kOk) return std::move(parsed.ok);
    if (parsed.kind == ControlReply::Kind::kError) return std::unexpected(std::move(parsed.error));
    if (progress && !progress(parsed.done, parsed.total)) return interrupted();
  }
}

}  // namespace pailfs
