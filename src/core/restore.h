// Bringing back what was: one version, what a name stood for at a moment, or a whole directory. What comes back is made
// anew, as new versions that share the units of the old ones, so that no data moves and everything can be undone in the
// same way. Content comes as a new inode under the name: of one that it knows, the kernel would keep size and pages.
//
// Each name is one transaction, and each passes the gate as the ordinary calls do: who restores needs to read what was,
// and to change the directory. Owner and mode come back as they were where the caller owned it then, or is uid 0 or the
// account; what belonged to somebody else is denied to anybody else.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/moment.h"

namespace pailfs {

// One inode as it was, out of a version or a moment.
struct PastInode {
  Ino ino = 0;
  InodeRecord record;
  Stamp at = 0;  // of its extended attributes
  // A version is read by the tags that it has; what was at a moment, by those of then and of now.
  bool of_moment = false;
};

// Mode, owner, ACLs and the times that can be set; extended attributes have records of their own.
bool same_attributes(const InodeRecord& one, const InodeRecord& other);

class Restorer {
 public:
  Restorer(Core::Impl& core, const Caller& caller) : core_(core), caller_(caller) {}

  // Makes it anew under the name, in place of what has the name (no directory; nor a directory itself). Returns the new
  // inode, which has one name. The null versions of the name are the caller's to settle, here and of link().
  Result<Ino> put(const PastInode& past, Ino parent, const std::string& name);
  // Another name, which `past` had, for what put() made of it, in place of what has the name. kNotFound: what it made
  // has lost its names meanwhile.
  Status link(const InodeRecord& past, Ino ino, Ino parent, const std::string& name);
  // A new directory. Its times are set by set_attributes(), when it is filled.
  Result<Ino> make_directory(const PastInode& past, Ino parent, const std::string& name);
  // Mode, owner, times, ACLs and extended attributes as they were. Nothing is written where nothing differs.
  Result<bool> set_attributes(const PastInode& past, Ino ino);

 private:
  Status check_owner(const InodeRecord& past) const;
  InodeRecord new_record(const InodeRecord& past) const;
  Result<InodePtr> make_unnamed(const PastInode& past);
  Status copy_content(const PastInode& past, const InodePtr& made);
  Status put_xattrs(const PastInode& past, Ino ino, bool& any, Transaction& tx);
  Status give_name(const InodePtr& inode, Ino parent, const std::string& name, const InodeRecord* as);
  void withdraw(const InodePtr& inode);
  void apply(const InodeRecord& past, InodeRecord& record) const;
  bool brings_back(std::string_view attribute) const;
  using ChangedXattrs = std::map<std::string, std::optional<std::string>>;  // to set, or to remove
  Status check_change(const Attributes& before, const InodeRecord& wanted, const ChangedXattrs& xattrs) const;
  Status check_retagging(const Attributes& before, const ChangedXattrs& xattrs) const;
  // `reading`: of the version; its last key is the one that the copy gets.
  Status check_tags(const AccessRequest& reading, const PastInode& past, Ino parent, const std::string& name) const;
  Result<bool> changes(const PastInode& past, Inode& inode, Transaction& tx) REQUIRES(inode.lock);

  Core::Impl& core_;
  const Caller& caller_;
};

}  // namespace pailfs
