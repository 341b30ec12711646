#include "ctl/server.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <list>
#include <thread>

#include "base/logging.h"
#include "base/mutex.h"
#include "core/groups.h"
#include "crypto/secret.h"
#include "ctl/commands.h"
#include "ctl/protocol.h"
#include "io/processes.h"
#include "io/unix_socket.h"

namespace pailfs {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr size_t kMaxConnections = 64;
constexpr size_t kKeptForAccount = 16;  // of these, so that nobody can lock the account out
constexpr auto kIdleLimit = 60s;        // between requests
constexpr auto kRequestLimit = 10s;     // from a request's first byte to its last
constexpr auto kReplyLimit = 30s;
constexpr auto kProgressInterval = 200ms;

// Sends progress now and then; gives up on a peer that does not read.
class ProgressSender {
 public:
  explicit ProgressSender(UnixConnection& connection) : connection_(connection) {}
  // False once the peer has gone: then nobody waits for the operation any more.
  bool report(uint64_t done, uint64_t total) {
    const Clock::time_point now = Clock::now();
    if (broken_ || now < next_) return !broken_;
    next_ = now + kProgressInterval;
    broken_ = !connection_.send(encode_progress(done, total), 1s);
    return !broken_;
  }
  // True when a line may have been sent in part: no reply can follow it.
  bool broken() const { return broken_; }

 private:
  UnixConnection& connection_;
  Clock::time_point next_ = Clock::now() + kProgressInterval;
  bool broken_ = false;
};

// The operation and its reply line. Never throws: what a library throws (no memory) fails this request alone.
std::string answer(const CommandContext& context, ControlRequest& request) {
  try {
    auto result = run_command(context, request.op, request.args);
    wipe_strings(request.args);
    return result ? encode_ok(*result) : encode_error(result.error());
  } catch (const std::exception& e) {
    log_error("the control operation {} failed: {}", request.op, e.what());
    return encode_error({Code::kNoMemory, fmt::format("the operation failed inside the daemon: {}", e.what())});
  }
}

}  // namespace

struct ControlServer::Impl {
  Impl(Core& c, StatusSource& s, std::string p) : core(c), status(s), path(std::move(p)) {}

  struct Connection {
    std::unique_ptr<UnixConnection> socket;
    std::thread thread;
    bool done = false;
  };

  void accept_loop();
  void admit(std::unique_ptr<UnixConnection> socket);
  void serve(UnixConnection& socket, const PeerCredentials& peer);
  bool stopping() {
    MutexLock lock(mutex);
    return stop_requested;
  }
  void join_finished() EXCLUDES(mutex);

  Core& core;
  StatusSource& status;
  const std::string path;
  std::unique_ptr<UnixListener> listener;  // set before the threads start, reset after the acceptor has ended
  std::thread acceptor;
  Mutex mutex;
  CondVar stopped;
  bool stop_requested GUARDED_BY(mutex) = false;
  std::list<Connection> connections GUARDED_BY(mutex);
};

void ControlServer::Impl::join_finished() {
  std::list<Connection> finished;
  {
    MutexLock lock(mutex);
    for (auto it = connections.begin(); it != connections.end();) {
      const auto next = std::next(it);
      if (it->done) finished.splice(finished.end(), connections, it);
      it = next;
    }
  }
  for (Connection& connection : finished) connection.thread.join();
}

void ControlServer::Impl::accept_loop() {
  for (;;) {
    auto socket = listener->accept();
    join_finished();
    if (!socket) {
      // Out of descriptors, most likely: others will be closed.
      log_warning("the control socket: {}", socket.error().message);
      MutexLock lock(mutex);
      if (!stop_requested) stopped.wait_for(mutex, 200ms);
      if (stop_requested) return;
      continue;
    }
    if (*socket == nullptr) return;
    admit(std::move(*socket));
  }
}

void ControlServer::Impl::admit(std::unique_ptr<UnixConnection> socket) {
  auto peer = socket->peer();
  if (!peer) {
    log_warning("a connection to the control socket was refused: {}", peer.error().message);
    return;
  }
  const bool account = peer->uid == 0 || peer->uid == core.gate().account();
  MutexLock lock(mutex);
  if (stop_requested) return;
  if (connections.size() >= (account ? kMaxConnections : kMaxConnections - kKeptForAccount)) {
    // Fits the buffer of a fresh socket: does not wait.
    static_cast<void>(socket->send(
        encode_error({Code::kBusy, "the daemon has too many control connections; try again later"}), 100ms));
    return;
  }
  Connection& connection = connections.emplace_back();
  connection.socket = std::move(socket);
  UnixConnection* const raw = connection.socket.get();
  bool* const done = &connection.done;
  try {
    connection.thread = std::thread([this, raw, done, who = std::move(*peer)] {
      serve(*raw, who);
      raw->shut_down();
      MutexLock locked(mutex);
      *done = true;
    });
  } catch (const std::exception& e) {
    log_warning("a connection to the control socket was refused: {}", e.what());
    connections.pop_back();
  }
}

void ControlServer::Impl::serve(UnixConnection& socket, const PeerCredentials& peer) {
  GroupList groups(peer.groups);
  const auto process = process_start(peer.pid);
  LineReader reader(socket, kMaxRequest);
  while (!stopping()) {
    auto line = reader.next(kIdleLimit, kRequestLimit);
    if (line && line->empty()) return;  // the peer has closed
    if (!line) {
      if (!stopping()) static_cast<void>(socket.send(encode_error(line.error()), 1s));
      return;
    }
    auto request = parse_request(*line);
    wipe(*line);
    if (!request) {
      if (!socket.send(encode_error(request.error()), kReplyLimit)) return;
      continue;
    }
    Caller caller{peer.uid, peer.gid, peer.pid, 0, Door::kControl, &groups};
    // A connection can outlive the process that made it, and its pid become another's.
    const auto now = process_start(peer.pid);
    if (!process || !now || now->start != process->start) caller.pid = 0;
    core.gate().know(caller);
    ProgressSender progress(socket);
    const CommandContext context{core, caller, &status, [&](uint64_t done, uint64_t total) {
                                   return !stopping() && progress.report(done, total);
                                 }};
    const std::string reply = answer(context, *request);
    if (progress.broken() || !socket.send(reply, kReplyLimit)) return;
  }
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() { stop(); }

const std::string& ControlServer::path() const { return impl_->path; }

Result<std::unique_ptr<ControlServer>> ControlServer::open(Core& core, StatusSource& status, std::string path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  PAILFS_TRY(make_owned_directory(directory, 0755));
  auto impl = std::make_unique<Impl>(core, status, std::move(path));
  PAILFS_ASSIGN(impl->listener, UnixListener::open(impl->path, 0666));
  Impl* const raw = impl.get();
  try {
    impl->acceptor = std::thread([raw] { raw->accept_loop(); });
  } catch (const std::exception& e) {
    return fail(Code::kNoMemory, fmt::format("the control server could not start its thread: {}", e.what()));
  }
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

void ControlServer::stop() {
  {
    MutexLock lock(impl_->mutex);
    impl_->stop_requested = true;
    impl_->stopped.notify_all();
  }
  if (impl_->listener) impl_->listener->stop();
  if (impl_->acceptor.joinable()) impl_->acceptor.join();
  impl_->listener.reset();
  // No thread but the connections' own is left, and they only set their `done`.
  std::list<Impl::Connection> left;
  {
    MutexLock lock(impl_->mutex);
    for (Impl::Connection& connection : impl_->connections) connection.socket->stop_receiving();
    left.splice(left.end(), impl_->connections);
  }
  for (Impl::Connection& connection : left) connection.thread.join();
}

}  // namespace pailfs
