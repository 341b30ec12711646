// Extended attributes.
#include <sys/xattr.h>

#include <cerrno>
#include <functional>
#include <string>

#include "core/acl.h"
#include "fuse/session_impl.h"

namespace pailfs {

namespace {

// getxattr(2) and listxattr(2): size 0 asks how long the answer is.
void reply_sized(Request& request, std::string_view answer, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(request.raw(), answer.size());
  } else if (answer.size() > size) {
    request.fail_errno(ERANGE);
  } else {
    fuse_reply_buf(request.raw(), answer.data(), answer.size());
  }
}

void on_getxattr(fuse_req_t raw, fuse_ino_t node, const char* name, size_t size) {
  Request request(raw, Operation::kGetxattr, node);
  if (!request) return;
  const Result<std::string> value = request.core().getxattr(request.caller(), request.ino(), name);
  // security.capability is read by the kernel, at every write.
  if (!value) return request.fail(value.error(), !std::string_view(name).starts_with("security."));
  reply_sized(request, *value, size);
}

void on_listxattr(fuse_req_t raw, fuse_ino_t node, size_t size) {
  Request request(raw, Operation::kListxattr, node);
  if (!request) return;
  const Result<std::vector<std::string>> names = request.core().listxattr(request.caller(), request.ino());
  if (!names) return request.fail(names.error());
  std::string list;
  for (const std::string& name : *names) {
    list += name;
    list.push_back('\0');
  }
  reply_sized(request, list, size);
}

// Where an access ACL was set or removed, the mode may have changed, which the kernel does not expect of an attribute:
// with write-back caching it asks for nothing but the change time, and that time of a regular file is its own. Told
// before the reply, so that no stat after the call sees the mode from before. A negative offset: of the attributes
// only, which takes no lock of the inode (fuse_reverse_inval_inode() of Linux), so that a request under way is no
// obstacle.
void change(Request& request, fuse_ino_t node, std::string_view name, const std::function<Status()>& change_it) {
  if (name != kAccessAclName) return request.done(change_it());
  const Status changed = request.session().change_rights(request.ino(), change_it);
  if (changed) fuse_lowlevel_notify_inval_inode(request.session().session, node, -1, 0);
  request.done(changed);
}

void on_setxattr(fuse_req_t raw, fuse_ino_t node, const char* name, const char* value, size_t size, int flags) {
  Request request(raw, Operation::kSetxattr, node);
  if (!request) return;
  Core::XattrMode mode = Core::XattrMode::kSet;
  if (flags == XATTR_CREATE) {
    mode = Core::XattrMode::kCreate;
  } else if (flags == XATTR_REPLACE) {
    mode = Core::XattrMode::kReplace;
  } else if (flags != 0) {
    return request.fail_errno(EINVAL);
  }
  change(request, node, name,
         [&] { return request.core().setxattr(request.caller(), request.ino(), name, {value, size}, mode); });
}

void on_removexattr(fuse_req_t raw, fuse_ino_t node, const char* name) {
  Request request(raw, Operation::kRemovexattr, node);
  if (!request) return;
  change(request, node, name, [&] { return request.core().removexattr(request.caller(), request.ino(), name); });
}

}  // namespace

void add_xattr_operations(fuse_lowlevel_ops& operations) {
  operations.getxattr = on_getxattr;
  operations.listxattr = on_listxattr;
  operations.setxattr = on_setxattr;
  operations.removexattr = on_removexattr;
}

}  // namespace pailfs
