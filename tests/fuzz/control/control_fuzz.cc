// The control socket, both ends. The first byte says which: what a client sends, as a stream of lines to a server with
// a store, or a line that a daemon answers.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "ctl/commands.h"
#include "ctl/protocol.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/memory_core.h"
#include "io/unix_socket.h"
#include "store/json.h"

namespace pailfs::test {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxInput = 64 << 10;  // fits into a socket's buffer

class Daemon : public StatusSource {
 public:
  DaemonStatus daemon_status() override {
    DaemonStatus status;
    status.store = "/s";
    status.mountpoint = "/mnt/\xff";  // paths need not be UTF-8
    status.options = "key_file=/etc/a\\,b.key,allow_other";
    status.transport = "none";
    status.requests = {{"LOOKUP", 7}};
    return status;
  }
};

const StoreImage& image() {
  static const StoreImage* const made = [] {
    MemoryCore core;
    core.write(core.bucket(), "file", "one");
    core.write(core.bucket(), "file", "two");
    core.write(core.bucket(), "f\xff", "three");
    FUZZ_CHECK(core.core().mkdir(core.root(), core.bucket(), "directory", 0755));
    FUZZ_CHECK(core.core().unlink(core.root(), core.bucket(), "f\xff"));
    FUZZ_CHECK(core.store().sync());
    FUZZ_CHECK(core.store().checkpoint());
    return new StoreImage(core.image());
  }();
  return *made;
}

// What a client can read: one line, one reply.
void expect_reply(const std::string& line) {
  FUZZ_CHECK(line.ends_with('\n') && std::ranges::count(line, '\n') == 1, line);
  FUZZ_CHECK(is_utf8(line));
  FUZZ_CHECK(parse_reply(line), line);
}

// scrypt is meant to be slow, and a backup writes where it is told to.
bool is_left_out(const ControlRequest& request) {
  if (request.op == "backup") return true;
  return request.op.starts_with("key.") && request.args.contains("kind") && request.args["kind"] == "passphrase";
}

void expect_same(const ControlRequest& request) {
  std::string line = encode_request(request);
  FUZZ_CHECK(line.ends_with('\n') && std::ranges::count(line, '\n') == 1, line);
  line.pop_back();
  const auto again = parse_request(line);
  FUZZ_CHECK(again, line);
  FUZZ_CHECK(again->op == request.op && again->args == request.args);
}

void serve(std::string_view sent) {
  std::array<int, 2> ends{};
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  UnixConnection client(ends[0]), server(ends[1]);
  FUZZ_CHECK(client.send(sent, 10s));
  client.shut_down();
  LineReader reader(server, kMaxRequest);
  std::unique_ptr<MemoryCore> core;
  Daemon daemon;
  for (int i = 0; i < 8; ++i) {
    const auto line = reader.next(10s, 10s);
    if (!line) {
      FUZZ_CHECK(line.error().code == Code::kInvalid, line.error().message);
      return;
    }
    if (line->empty()) return;
    auto request = parse_request(*line);
    if (!request) {
      FUZZ_CHECK(request.error().code == Code::kInvalid);
      expect_reply(encode_error(request.error()));
      continue;
    }
    expect_same(*request);
    if (is_left_out(*request)) continue;
    if (core == nullptr) core = std::move(*MemoryCore::open(image()));
    const uint32_t uid = i % 2 == 0 ? kAccount : kAccount + 1;
    const Caller caller{uid, uid, 1, 0, Door::kControl, nullptr};
    const auto result = run_command({core->core(), caller, &daemon, {}}, request->op, request->args);
    wipe_strings(request->args);
    expect_reply(result ? encode_ok(*result) : encode_error(result.error()));
  }
}

void read_reply(std::string_view line) {
  const auto reply = parse_reply(line);
  if (!reply) {
    FUZZ_CHECK(reply.error().code == Code::kIo && !reply.error().message.empty());
    return;
  }
  if (reply->kind == ControlReply::Kind::kOk) expect_reply(encode_ok(reply->ok));
  if (reply->kind == ControlReply::Kind::kError) expect_reply(encode_error(reply->error));
}

void run(uint8_t what, std::string_view input) {
  input = input.substr(0, kMaxInput);
  if (what % 2 == 0) {
    serve(input);
  } else {
    read_reply(input);
  }
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) pailfs::test::run(data[0], pailfs::test::input_of(data + 1, size - 1));
  return 0;
}
