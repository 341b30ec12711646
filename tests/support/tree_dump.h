// All that a store shows, as text: every name with its attributes, extended attributes and content, and every version
// in the .versions view. Two stores with the same text are the same to whoever uses them. Errors stand in the text
// under their names.
#pragma once

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/core.h"
#include "support/hex.h"

namespace pailfs::test {

class TreeDump {
 public:
  explicit TreeDump(Core& core) : core_(core) { caller_.groups = nullptr; }

  std::string text() {
    directory("", kRootIno);
    return std::move(out_);
  }

 private:
  struct Entry {
    std::string name;
    Ino ino = 0;
    uint32_t type = 0;
  };

  std::vector<Entry> entries(const std::string& path, Ino ino) {
    std::vector<Entry> found;
    const auto handle = core_.opendir(caller_, ino);
    if (!handle) {
      line(path, "opendir", handle.error());
      return found;
    }
    uint64_t cookie = 0;
    for (bool more = true; more;) {
      more = false;
      const Status listed = core_.readdir(caller_, ino, *handle, cookie, false, [&](const DirectoryEntry& entry) {
        cookie = entry.cookie;
        if (entry.name != "." && entry.name != "..") found.push_back({entry.name, entry.ino, entry.type});
        return true;
      });
      if (!listed) line(path, "readdir", listed.error());
    }
    core_.releasedir(*handle);
    std::ranges::sort(found, {}, &Entry::name);
    return found;
  }

  void line(const std::string& path, std::string_view what, const Error& error) {
    out_ += fmt::format("{}: {}: {}\n", path, what, code_name(error.code));
  }

  // With the number that a lookup gives, once for each name.
  void directory(const std::string& path, Ino ino) {
    for (const Entry& entry : entries(path, ino)) visit(path + "/" + entry.name, ino, entry.name);
    if (ino == kRootIno || is_virtual(ino) || ino != bucket_root(bucket_of(ino))) return;
    visit(path + "/.versions", ino, ".versions");
  }

  void visit(const std::string& path, Ino parent, const std::string& name) {
    const auto found = core_.lookup(caller_, parent, name);
    if (!found) return line(without_id(path), "lookup", found.error());
    show(without_id(path), *found);
    if (S_ISDIR(found->mode)) directory(path, found->ino);
    core_.forget(found->ino, 1);
  }

  // A version's id holds random bits.
  static std::string without_id(const std::string& path) {
    const size_t slash = path.rfind('/');
    const size_t zone = path.find("Z-", slash);
    if (path.find("/.versions/") == std::string::npos || zone == std::string::npos) return path;
    const size_t dot = path.find('.', zone);
    return path.substr(0, zone + 2) + (dot == std::string::npos ? "" : path.substr(dot));
  }

  void show(const std::string& path, const Attributes& a) {
    out_ += fmt::format("{}: {:o} {}:{} links {} size {} rdev {} mtime {}", path, a.mode, a.uid, a.gid, a.nlink,
                        S_ISDIR(a.mode) ? 0 : a.size, a.rdev, a.mtime);
    if (!is_virtual(a.ino)) out_ += fmt::format(" ino {} ctime {}", a.ino, a.ctime);
    out_ += '\n';
    if (S_ISLNK(a.mode)) {
      const auto target = core_.readlink(caller_, a.ino);
      if (!target) line(path, "readlink", target.error());
      if (target) out_ += fmt::format("  -> {}\n", *target);
    }
    xattrs(path, a.ino);
    if (S_ISREG(a.mode) && a.size > 0) content(path, a.ino, a.size);
  }

  void xattrs(const std::string& path, Ino ino) {
    auto names = core_.listxattr(caller_, ino);
    if (!names) return line(path, "listxattr", names.error());
    std::ranges::sort(*names);
    for (const std::string& name : *names) {
      const auto value = core_.getxattr(caller_, ino, name);
      if (!value) line(path, name, value.error());
      if (value) out_ += fmt::format("  {} = {} bytes {}\n", name, value->size(), digest(*value));
    }
  }

  void content(const std::string& path, Ino ino, uint64_t size) {
    const auto opened = core_.open(caller_, ino, {.read = true});
    if (!opened) return line(path, "open", opened.error());
    // In pieces: what cannot be read is named, and the rest shown.
    for (uint64_t at = 0; at < size; at += kPiece) {
      std::string piece(std::min(size - at, kPiece), '\0');
      const auto n = core_.read(ino, opened->handle, at, piece);
      if (!n) line(path, fmt::format("read at {}", at), n.error());
      if (n) out_ += fmt::format("  {} bytes at {}: {}\n", *n, at, digest(std::string_view(piece).substr(0, *n)));
    }
    core_.release(ino, opened->handle);
  }

  static std::string digest(std::string_view bytes) { return to_hex(view(sha256(bytes))).substr(0, 24); }

  static constexpr uint64_t kPiece = 64 << 10;
  Core& core_;
  Caller caller_;  // root
  std::string out_;
};

inline std::string dump_tree(Core& core) { return TreeDump(core).text(); }

}  // namespace pailfs::test
