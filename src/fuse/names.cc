// LOOKUP, FORGET and the requests that change names.
#include <fcntl.h>
#include <linux/fs.h>

#include <cerrno>

#include "fuse/session_impl.h"

namespace pailfs {

namespace {

void on_lookup(fuse_req_t raw, fuse_ino_t parent, const char* name) {
  Request request(raw, Operation::kLookup, parent);
  if (request) request.entry(request.core().lookup(request.caller(), request.ino(), name));
}

void on_forget(fuse_req_t raw, fuse_ino_t node, uint64_t count) {
  Request request(raw, Operation::kForget, node);
  if (!request) return;
  request.core().forget(request.ino(), count);
  fuse_reply_none(raw);
}

void on_forget_multi(fuse_req_t raw, size_t count, fuse_forget_data* forgets) {
  Request request(raw, Operation::kForget, 0);
  if (!request) return;
  for (size_t i = 0; i < count; ++i) {
    request.core().forget(request.session().ino_of(forgets[i].ino), forgets[i].nlookup);
  }
  fuse_reply_none(raw);
}

void on_mknod(fuse_req_t raw, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev) {
  Request request(raw, Operation::kMknod, parent);
  if (request) request.entry(request.core().mknod(request.caller(), request.ino(), name, mode, rdev));
}

void on_mkdir(fuse_req_t raw, fuse_ino_t parent, const char* name, mode_t mode) {
  Request request(raw, Operation::kMkdir, parent);
  if (request) request.entry(request.core().mkdir(request.caller(), request.ino(), name, mode));
}

void on_symlink(fuse_req_t raw, const char* target, fuse_ino_t parent, const char* name) {
  Request request(raw, Operation::kSymlink, parent);
  if (request) request.entry(request.core().symlink(request.caller(), request.ino(), name, target));
}

void on_link(fuse_req_t raw, fuse_ino_t node, fuse_ino_t new_parent, const char* new_name) {
  Request request(raw, Operation::kLink, new_parent);
  if (!request) return;
  const Ino ino = request.session().ino_of(node);
  request.entry(request.core().link(request.caller(), ino, request.ino(), new_name));
}

void on_unlink(fuse_req_t raw, fuse_ino_t parent, const char* name) {
  Request request(raw, Operation::kUnlink, parent);
  if (request) request.done(request.core().unlink(request.caller(), request.ino(), name));
}

void on_rmdir(fuse_req_t raw, fuse_ino_t parent, const char* name) {
  Request request(raw, Operation::kRmdir, parent);
  if (request) request.done(request.core().rmdir(request.caller(), request.ino(), name));
}

void on_rename(fuse_req_t raw, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
               unsigned flags) {
  Request request(raw, Operation::kRename, parent);
  if (!request) return;
  RenameMode mode = RenameMode::kReplace;
  if (flags == RENAME_NOREPLACE) {
    mode = RenameMode::kNoReplace;
  } else if (flags == RENAME_EXCHANGE) {
    mode = RenameMode::kExchange;
  } else if (flags != 0) {
    return request.fail_errno(EINVAL);  // RENAME_WHITEOUT: for overlayfs alone
  }
  const Ino to = request.session().ino_of(new_parent);
  const Status moved = request.core().rename(request.caller(), request.ino(), name, to, new_name, mode);
  if (moved) request.session().moved(request.ino(), to);
  request.done(moved);
}

void on_readlink(fuse_req_t raw, fuse_ino_t node) {
  Request request(raw, Operation::kReadlink, node);
  if (!request) return;
  const Result<std::string> target = request.core().readlink(request.caller(), request.ino());
  if (!target) return request.fail(target.error());
  fuse_reply_readlink(raw, target->c_str());
}

}  // namespace

void add_name_operations(fuse_lowlevel_ops& operations) {
  operations.lookup = on_lookup;
  operations.forget = on_forget;
  operations.forget_multi = on_forget_multi;
  operations.mknod = on_mknod;
  operations.mkdir = on_mkdir;
  operations.symlink = on_symlink;
  operations.link = on_link;
  operations.unlink = on_unlink;
  operations.rmdir = on_rmdir;
  operations.rename = on_rename;
  operations.readlink = on_readlink;
}

}  // namespace pailfs
