// Listing directories.
#include <cerrno>
#include <string>

#include "fuse/session_impl.h"

namespace pailfs {

namespace {

void on_opendir(fuse_req_t raw, fuse_ino_t node, fuse_file_info* info) {
  Request request(raw, Operation::kOpendir, node);
  if (!request) return;
  FuseSession::Impl& session = request.session();
  const Ino ino = request.ino();
  const Result<uint64_t> handle = request.core().opendir(request.caller(), ino);
  if (!handle) return request.fail(handle.error());
  info->fh = *handle;
  // A cached listing is an entry to all who reach the mount; buckets come and go by other doors too.
  const bool cached = !is_virtual(ino) && ino != kRootIno && session.keeps_entries(ino);
  info->cache_readdir = cached ? 1 : 0;
  info->keep_cache = cached ? 1 : 0;
  if (fuse_reply_open(raw, info) == -ENOENT) request.core().releasedir(*handle);
}

// One reply's worth of entries.
class Listing {
 public:
  Listing(Request& request, size_t limit, bool plus) : request_(request), limit_(limit), plus_(plus) {
    buffer_.resize(limit);
  }

  // False when the entry does not fit any more.
  bool add(const DirectoryEntry& entry) {
    const size_t needed = plus_ ? append_plus(entry) : append(entry);
    if (needed > limit_ - used_) return false;
    used_ += needed;
    const bool dots = entry.name == "." || entry.name == "..";
    if (plus_ && !dots && entry.attributes.ino != 0) referenced_.push_back(entry.attributes.ino);
    return true;
  }

  bool empty() const { return used_ == 0; }

  void reply() {
    if (fuse_reply_buf(request_.raw(), buffer_.data(), used_) == -ENOENT) {
      for (const Ino ino : referenced_) request_.core().forget(ino, 1);
    }
  }

 private:
  size_t append(const DirectoryEntry& entry) {
    struct stat stat{};
    stat.st_ino = request_.session().node_of(entry.ino);
    stat.st_mode = entry.type;
    return fuse_add_direntry(request_.raw(), buffer_.data() + used_, limit_ - used_, entry.name.c_str(), &stat,
                             static_cast<off_t>(entry.cookie));
  }

  size_t append_plus(const DirectoryEntry& entry) {
    fuse_entry_param param{};
    const bool dots = entry.name == "." || entry.name == "..";
    if (!dots && entry.attributes.ino != 0) {
      param = request_.session().listed_entry_of(entry.attributes, request_.ino());
    } else {
      // No node: the kernel takes the name and looks nothing else up.
      param.attr.st_ino = request_.session().node_of(entry.ino);
      param.attr.st_mode = entry.type;
    }
    return fuse_add_direntry_plus(request_.raw(), buffer_.data() + used_, limit_ - used_, entry.name.c_str(), &param,
                                  static_cast<off_t>(entry.cookie));
  }

  Request& request_;
  const size_t limit_;
  const bool plus_;
  std::string buffer_;
  size_t used_ = 0;
  std::vector<Ino> referenced_;
};

void list(fuse_req_t raw, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info, bool plus) {
  Request request(raw, plus ? Operation::kReaddirplus : Operation::kReaddir, node);
  if (!request) return;
  Listing listing(request, size, plus);
  const bool attributes = plus && request.session().keeps_listed(request.ino());
  const Status status =
      request.core().readdir(request.caller(), request.ino(), info->fh, static_cast<uint64_t>(offset), attributes,
                             [&listing](const DirectoryEntry& entry) { return listing.add(entry); });
  // A failure after some entries is told by the next call, which begins where it happened.
  if (!status && listing.empty()) return request.fail(status.error());
  listing.reply();
}

void on_readdir(fuse_req_t raw, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info) {
  list(raw, node, size, offset, info, false);
}

void on_readdirplus(fuse_req_t raw, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info) {
  list(raw, node, size, offset, info, true);
}

void on_releasedir(fuse_req_t raw, fuse_ino_t node, fuse_file_info* info) {
  Request request(raw, Operation::kReleasedir, node);
  if (!request) return;
  request.core().releasedir(info->fh);
  fuse_reply_err(raw, 0);
}

void on_fsyncdir(fuse_req_t raw, fuse_ino_t node, int, fuse_file_info*) {
  Request request(raw, Operation::kFsyncdir, node);
  if (request) request.done(request.core().fsync(request.ino()));
}

}  // namespace

void add_directory_operations(fuse_lowlevel_ops& operations) {
  operations.opendir = on_opendir;
  operations.readdir = on_readdir;
  operations.readdirplus = on_readdirplus;
  operations.releasedir = on_releasedir;
  operations.fsyncdir = on_fsyncdir;
}

}  // namespace pailfs
