// Requests as the kernel sends them, and such as it never would: any operation with any body, for inodes that were
// never looked up, with handles that do not exist, cut short. They go to libfuse and from there to the door and a core
// in memory. Every request that asks for a reply gets exactly one, and what is in the store afterwards is sound.
//
// An input is a list of requests. Numbers of inodes and handles may be those that earlier replies told. Lengths that
// libfuse believes the kernel, unseen, are bounded by the room that the request stands in.
#include <linux/fuse.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fuse/session_impl.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/memory_core.h"

namespace pailfs::test {
namespace {

constexpr int kMaxRequests = 48;
constexpr size_t kRoom = size_t{512} << 10;  // of a request
constexpr uint32_t kMaxLength = 128 << 10;   // of the content of one
constexpr uint32_t kLastOpcode = 60;         // beyond what the kernel knows
constexpr uint8_t kKnownHandle = 1;          // of the flags of a request

std::string pattern(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 7 + i / 256);
  return out;
}

const StoreImage& image() {
  static const StoreImage* const made = [] {
    MemoryCore core;
    core.write(core.bucket(), "file", "one");
    core.write(core.bucket(), "file", pattern(20'000));
    core.write(core.bucket(), "gone", "three");
    const auto directory = core.core().mkdir(core.root(), core.bucket(), "directory", 0755);
    FUZZ_CHECK(directory);
    core.write(directory->ino, "below", "four");
    FUZZ_CHECK(core.core().unlink(core.root(), core.bucket(), "gone"));
    FUZZ_CHECK(core.store().sync());
    FUZZ_CHECK(core.store().checkpoint());
    return new StoreImage(core.image());
  }();
  return *made;
}

// What came back for one request.
struct Replies {
  int count = 0;
  uint64_t unique = 0;
  int error = 0;
  std::string body;
  bool good() const { return count == 1 && error == 0; }
};

// In the place of /dev/fuse: what libfuse writes there can be read at the other end.
class Device {
 public:
  Device() {
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_.data()) == 0);
    const int room = 2 * kRoom;
    FUZZ_CHECK(setsockopt(ends_[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    message_.resize(kRoom);
  }
  ~Device() { close(ends_[1]); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int end_for_library() const { return ends_[0]; }  // libfuse closes it

  // All that was written since the last call, but for what the kernel is told unasked.
  Replies replies() {
    Replies out;
    for (;;) {
      const ssize_t got = recv(ends_[1], message_.data(), message_.size(), MSG_DONTWAIT);
      if (got < 0) return out;
      fuse_out_header header{};
      FUZZ_CHECK(static_cast<size_t>(got) >= sizeof header);
      std::memcpy(&header, message_.data(), sizeof header);
      FUZZ_CHECK(header.len == static_cast<size_t>(got));
      if (header.unique == 0) continue;
      FUZZ_CHECK(header.error <= 0 && header.error > -1000);
      FUZZ_CHECK(header.error == 0 || header.len == sizeof header);
      ++out.count;
      out.unique = header.unique;
      out.error = header.error;
      out.body.assign(message_.data() + sizeof header, header.len - sizeof header);
    }
  }

 private:
  std::array<int, 2> ends_{};
  std::vector<char> message_;
};

// The kernel's side of a mount.
class Kernel {
 public:
  explicit Kernel(Decoder& in) : in_(in), core_(std::move(*MemoryCore::open(image()))) {
    MountOptions options;
    options.store = "/s";
    options.mountpoint = "/m";
    const uint8_t how = in_.u8();
    options.allow_other = (how & 1) != 0;
    options.writeback = (how & 2) != 0;
    options.io_uring = false;
    if ((how & 4) != 0 && core_->bucket() != 0) options.root = core_->bucket();
    session_ = std::make_unique<FuseSession::Impl>(core_->core(), options);
    session_->served = true;  // nothing to unmount
    if ((how & 8) != 0) session_->entry_caching = EntryCaching::kAll;
    auto made = new_session(*session_);
    FUZZ_CHECK(made, made ? "" : made.error().message);
    session_->session = *made;
    // How libfuse takes a device that somebody else has opened.
    const std::string device = "/dev/fd/" + std::to_string(device_.end_for_library());
    FUZZ_CHECK(fuse_session_mount(session_->session, device.c_str()) == 0);
    room_.resize(kRoom);
    greet();
  }
  ~Kernel() {
    session_.reset();
    core_.reset();
  }

  void run() {
    for (int i = 0; i < kMaxRequests && in_.remaining() > 0 && !over_; ++i) request();
    for (const auto& [ino, handle] : session_->writers.all()) core_->core().release(ino, handle);
    const auto checked = core_->core().check(true, nullptr);
    FUZZ_CHECK(checked, checked ? "" : checked.error().message);
    FUZZ_CHECK(checked->problem_count == 0, checked->problems.empty() ? "" : checked->problems.front().what);
  }

 private:
  void greet() {
    fuse_init_in init{};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = 31 + in_.u8() % 14;
    init.max_readahead = 128 << 10;
    init.flags = in_.u32() | FUSE_INIT_EXT;
    init.flags2 = in_.u32();
    send(FUSE_INIT, FUSE_ROOT_ID, {reinterpret_cast<const char*>(&init), sizeof init});
    FUZZ_CHECK(replies_.good());
  }

  void request() {
    const uint8_t flags = in_.u8();
    const uint32_t opcode = in_.u8() % kLastOpcode;
    const uint64_t node = any_node();
    std::string body(in_.bytes());
    // Only sent where it was asked for (FUSE_NOTIFY_RETRIEVE), which nobody here does; libfuse 3.18 leaks the request.
    if (opcode == FUSE_NOTIFY_REPLY) return;
    if ((flags & kKnownHandle) != 0) set_handles(opcode, body);
    send(opcode, node, body);
    if (replies_.good()) learn(opcode);
    over_ = opcode == FUSE_DESTROY;
  }

  uint64_t any_node() {
    const uint8_t choice = in_.u8();
    if (choice >= 0xf0) return in_.varint();
    return nodes_[choice % nodes_.size()];
  }

  // As libfuse receives a request: in room that is longer, here with zeros behind it.
  void send(uint32_t opcode, uint64_t node, std::string_view body) {
    fuse_in_header header{};
    body = body.substr(0, kRoom / 2);
    header.len = static_cast<uint32_t>(sizeof header + body.size());
    header.opcode = opcode;
    header.unique = ++unique_;
    header.nodeid = node;
    header.uid = uid_;
    header.gid = uid_;
    std::fill(room_.begin(), room_.begin() + static_cast<ptrdiff_t>(used_), '\0');
    std::memcpy(room_.data(), &header, sizeof header);
    std::memcpy(room_.data() + sizeof header, body.data(), body.size());
    used_ = std::max(header.len, uint32_t{256});
    bound_lengths(opcode);
    fuse_buf buffer{};
    buffer.size = header.len;
    buffer.mem = room_.data();
    fuse_session_process_buf(session_->session, &buffer);
    replies_ = device_.replies();
    expect_replied(opcode);
    FUZZ_CHECK(session_->under_way == 0);
  }

  void expect_replied(uint32_t opcode) const {
    const int count = replies_.count;
    switch (opcode) {
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
        FUZZ_CHECK(count == 0);
        return;
      case FUSE_INTERRUPT:
        FUZZ_CHECK(count <= 1);
        return;
      default:
        FUZZ_CHECK(count == 1, operation(opcode));
        FUZZ_CHECK(replies_.unique == unique_);
    }
  }
  static std::string operation(uint32_t opcode) { return "opcode " + std::to_string(opcode); }

  template <class Number>
  Number at(size_t offset) const {
    Number out{};
    std::memcpy(&out, room_.data() + sizeof(fuse_in_header) + offset, sizeof out);
    return out;
  }
  void bound(size_t offset, uint32_t limit) {
    const uint32_t bounded = std::min(at<uint32_t>(offset), limit);
    std::memcpy(room_.data() + sizeof(fuse_in_header) + offset, &bounded, sizeof bounded);
  }
  // The kernel asks for no more than was agreed, and sends what it says.
  void bound_lengths(uint32_t opcode) {
    switch (opcode) {
      case FUSE_READ:
      case FUSE_READDIR:
      case FUSE_READDIRPLUS:
        return bound(offsetof(fuse_read_in, size), kMaxLength);
      case FUSE_WRITE:
        return bound(offsetof(fuse_write_in, size), kMaxLength);
      case FUSE_SETXATTR:
        return bound(offsetof(fuse_setxattr_in, size), kMaxLength);
      case FUSE_BATCH_FORGET:
        return bound(offsetof(fuse_batch_forget_in, count), 1024);
      default:
        return;
    }
  }

  // Puts handles and inodes that exist where a request has them.
  void set_handles(uint32_t opcode, std::string& body) {
    const auto put = [&](size_t offset, uint64_t value) {
      if (body.size() < offset + sizeof value) body.resize(offset + sizeof value);
      std::memcpy(body.data() + offset, &value, sizeof value);
    };
    const uint64_t handle = handles_.empty() ? 1 : handles_[in_.u8() % handles_.size()];
    switch (opcode) {
      case FUSE_READ:
      case FUSE_WRITE:
      case FUSE_FLUSH:
      case FUSE_RELEASE:
      case FUSE_FSYNC:
      case FUSE_FALLOCATE:
      case FUSE_LSEEK:
      case FUSE_READDIR:
      case FUSE_READDIRPLUS:
      case FUSE_RELEASEDIR:
        return put(0, handle);
      case FUSE_SETATTR:
        return put(offsetof(fuse_setattr_in, fh), handle);
      case FUSE_COPY_FILE_RANGE:
        put(offsetof(fuse_copy_file_range_in, fh_in), handle);
        put(offsetof(fuse_copy_file_range_in, nodeid_out), any_node());
        return put(offsetof(fuse_copy_file_range_in, fh_out),
                   handles_.empty() ? 1 : handles_[in_.u8() % handles_.size()]);
      case FUSE_RENAME:
      case FUSE_LINK:
        return put(0, any_node());
      case FUSE_RENAME2:
        return put(offsetof(fuse_rename2_in, newdir), any_node());
      default:
        uid_ = in_.u8() % 3 == 0 ? 1000 : 0;
        return;
    }
  }

  void learn(uint32_t opcode) {
    const std::string& body = replies_.body;
    const auto number = [&](size_t offset) {
      uint64_t out = 0;
      if (body.size() >= offset + sizeof out) std::memcpy(&out, body.data() + offset, sizeof out);
      return out;
    };
    switch (opcode) {
      case FUSE_LOOKUP:
      case FUSE_MKNOD:
      case FUSE_MKDIR:
      case FUSE_SYMLINK:
      case FUSE_LINK:
        if (number(0) != 0) nodes_.push_back(number(0));
        return;
      case FUSE_CREATE:
      case FUSE_TMPFILE:
        nodes_.push_back(number(0));
        handles_.push_back(number(sizeof(fuse_entry_out)));
        return;
      case FUSE_OPEN:
      case FUSE_OPENDIR:
        handles_.push_back(number(0));
        return;
      default:
        return;
    }
  }

  Decoder& in_;
  std::unique_ptr<MemoryCore> core_;
  std::unique_ptr<FuseSession::Impl> session_;
  Device device_;
  Replies replies_;
  std::vector<char> room_;
  size_t used_ = 0;
  uint64_t unique_ = 0;
  uint32_t uid_ = 0;
  bool over_ = false;
  std::vector<uint64_t> nodes_{FUSE_ROOT_ID};
  std::vector<uint64_t> handles_;
};

void run(std::string_view input) {
  Decoder in(input);
  Kernel(in).run();
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  pailfs::test::run(pailfs::test::input_of(data, size));
  return 0;
}
