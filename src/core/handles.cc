// Opening and closing: rights are decided here and bound to the handle; versions are sealed when writers close.
#include <sys/stat.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/logging.h"
#include "core/content.h"
#include "core/decision_trace.h"
#include "core/versions_view.h"

namespace pailfs {

namespace {

Status check_open(const Gate& gate, const Caller& caller, const Attributes& file, OpenFlags flags) {
  if (S_ISDIR(file.mode) && (flags.write || flags.truncate)) return fail(Code::kIsDirectory, "a directory");
  if (S_ISLNK(file.mode)) return fail(Code::kLoop, "a symbolic link");
  const bool writes = flags.write || flags.truncate;
  if (flags.execute) {
    PAILFS_TRY(gate.check({caller, Action::kGetObject, Need::kExecute, file}));
  } else if (flags.read) {
    PAILFS_TRY(gate.check({caller, Action::kGetObject, writes ? Need::kReadWrite : Need::kRead, file}));
  }
  if (writes) {
    PAILFS_TRY(gate.check({caller, Action::kPutObject, flags.read ? Need::kReadWrite : Need::kWrite, file}));
  }
  return {};
}

HandlePtr make_handle(const Caller& caller, const InodePtr& inode, OpenFlags flags) {
  auto handle = std::make_shared<Handle>();
  handle->ino = inode->ino;
  handle->inode = inode;
  handle->read = flags.read || flags.execute;
  handle->write = flags.write;
  handle->append = flags.append;
  handle->uid = caller.uid;
  return handle;
}

// Seals the content and says so in a change record: the one that opened the handle made the version.
Status seal_for(Core::Impl& impl, Inode& inode, Handle& handle, bool provisional) REQUIRES(inode.lock) {
  InodeRecord& record = inode.record;
  if (inode.gone) return {};  // with its bucket
  if (!record.dirty || record.nlink == 0) {
    if (!provisional) inode.provisional = 0;
    handle.closed = inode.provisional;
    return {};
  }
  if (inode.untouched) std::tie(record.mtime, record.ctime) = *std::exchange(inode.untouched, std::nullopt);
  Transaction tx;
  Status done = impl.seal(inode, provisional, tx);
  if (done) {
    impl.put_inode(inode.ino, record, tx);
    Caller writer;
    writer.uid = handle.uid;
    ChangeRecord change{Action::kPutObject, writer, 0, {}, inode.ino};
    change.after = record.version.id;
    tx.record(encode_change(change, impl.now()));
    done = impl.commit(std::move(tx));
  }
  if (!done) impl.reload(inode);
  handle.closed = inode.provisional;
  return done;
}

// A change that nobody has open any more: a crash, or mknod(2). It becomes a version before the next one begins.
Status seal_left_over(Core::Impl& impl, Inode& inode) REQUIRES(inode.lock) {
  if (!inode.record.dirty || inode.writers > 0) return {};
  Handle nobody;
  nobody.uid = inode.record.uid;
  return seal_for(impl, inode, nobody, false);
}

Status truncate(Core::Impl& impl, Inode& inode, const Caller& caller) REQUIRES(inode.lock) {
  InodeRecord& record = inode.record;
  Transaction tx;
  Status done = impl.resize(inode, 0, tx);
  if (done) {
    if (caller.uid != 0 && mode_without_privileges(record.mode) != record.mode) {
      impl.keep_attributes(inode, impl.stamp(tx), tx);
      record.mode = mode_without_privileges(record.mode);
    }
    impl.put_inode(inode.ino, record, tx);
    done = impl.commit(std::move(tx));
  }
  if (!done) impl.reload(inode);
  return done;
}

}  // namespace

Result<OpenResult> Core::open(const Caller& caller, Ino ino, OpenFlags flags) {
  if (is_virtual(ino)) return impl_->view->open(caller, ino, flags);
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const InodePtr opened, impl.existing(ino));
  Inode& inode = *opened;
  if (!flags.write && !flags.truncate) {
    ReaderLock lock(inode.lock);
    if (inode.gone) return fail(Code::kNotFound, "no such file");
    PAILFS_TRY(check_open(impl.gate, caller, Impl::attributes(ino, inode.record), flags));
    PAILFS_TRY(unless_explained());
    ++inode.handles;
    return OpenResult{impl.handles.add(make_handle(caller, opened, flags)), true};
  }
  WriterLock lock(inode.lock);
  if (inode.gone) return fail(Code::kNotFound, "no such file");
  PAILFS_TRY(check_open(impl.gate, caller, Impl::attributes(ino, inode.record), flags));
  PAILFS_TRY(unless_explained());
  if (S_ISREG(inode.record.mode)) {
    PAILFS_TRY(seal_left_over(impl, inode));
    // What was sealed before this open stays a version, whatever this handle writes.
    inode.provisional = 0;
    if (flags.truncate) PAILFS_TRY(truncate(impl, inode, caller));
  }
  ++inode.handles;
  if (flags.write) ++inode.writers;
  return OpenResult{impl.handles.add(make_handle(caller, opened, flags)), true};
}

Core::Created Core::Impl::opened(const Caller& caller, const InodePtr& made, OpenFlags flags) {
  Created out;
  {
    ReaderLock lock(made->lock);
    out.attributes = attributes(made->ino, made->record);
  }
  out.open = OpenResult{handles.add(make_handle(caller, made, flags)), true};
  return out;
}

// Who makes a file may use it as asked, whatever its mode says.
Result<Core::Created> Core::create(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                                   OpenFlags flags) {
  const NewNode node{.mode = S_IFREG | (mode & 07777), .open = true, .write = flags.write};
  PAILFS_ASSIGN(const InodePtr made, impl_->make_node(caller, parent, name, node));
  impl_->settle_nulls(parent, name);
  return impl_->opened(caller, made, flags);
}

Result<Core::Created> Core::create_unnamed(const Caller& caller, Ino directory, uint32_t mode, OpenFlags flags,
                                           bool linkable) {
  const NewNode node{.mode = S_IFREG | (mode & 07777), .open = true, .write = flags.write};
  PAILFS_ASSIGN(const InodePtr made, impl_->make_unnamed(caller, directory, node, linkable));
  return impl_->opened(caller, made, flags);
}

void Core::set_kernel_times(bool kernel) { impl_->kernel_times = kernel; }

Status Core::flush(Ino ino, uint64_t handle) {
  Impl& impl = *impl_;
  const HandlePtr open = impl.handles.get(handle);
  if (open == nullptr || open->ino != ino) return fail(Code::kBadHandle, "no such open file");
  if (!open->write || open->inode == nullptr) return {};
  Inode& inode = *open->inode;
  WriterLock lock(inode.lock);
  // The handle may go on writing: other descriptors may share it, and a mapping outlives its descriptor.
  return seal_for(impl, inode, *open, true);
}

void Core::release(Ino ino, uint64_t handle) {
  Impl& impl = *impl_;
  const HandlePtr open = impl.handles.remove(handle);
  if (open == nullptr || open->inode == nullptr || open->version_of != 0) return;
  Inode& inode = *open->inode;
  bool nameless = false, replaced = false;
  bool dirty = false;
  if (open->write) {
    WriterLock lock(inode.lock);
    const uint32_t writers = --inode.writers;
    const uint32_t handles = --inode.handles;
    // While others write, this one's close has sealed what it wrote. The kernel releases when it likes: what is dirty
    // by now is what the others have written so far.
    const Status sealed = writers == 0 ? seal_for(impl, inode, *open, false) : Status();
    inode.left_unsealed = writers > 0 && inode.record.dirty;
    // What it has closed is final now: nobody else goes on in that.
    if (open->closed == inode.provisional) inode.provisional = 0;
    if (!sealed) log_error("closing inode {}: no version was made: {}", ino, sealed.error().message);
    nameless = handles == 0 && inode.record.nlink == 0;
    replaced = handles == 0 && inode.replaced != nullptr;
    dirty = inode.record.dirty;
  } else {
    // Counted down before the names are looked at: who takes the last name looks at the handles after it did that.
    const uint32_t handles = --inode.handles;
    ReaderLock lock(inode.lock);
    nameless = handles == 0 && inode.record.nlink == 0;
    replaced = handles == 0 && inode.replaced != nullptr;
    dirty = inode.record.dirty;
  }
  if (dirty || nameless) impl.settle(open->inode);
  if (open->write && !nameless) impl.settle_nulls(open->inode);
  if (replaced) impl.settle_replaced(open->inode);
  if (nameless) impl.reap(ino);
}

void Core::Impl::settle(const InodePtr& ptr) {
  Inode& inode = *ptr;
  WriterLock lock(inode.lock);
  if (inode.gone || !inode.record.dirty || !S_ISREG(inode.record.mode)) return;
  Status done;
  if (inode.record.nlink > 0) {
    done = seal_left_over(*this, inode);
  } else if (inode.handles == 0) {
    if (is_orphan(inode.ino)) return;  // it goes as a whole
    Transaction tx;
    done = remove_version(inode, inode.record.vseq, tx);
    if (done) done = commit(std::move(tx));
    if (!done) reload(inode);
    if (inode.gone) inodes.remove(inode.ino);
  }
  if (!done) log_warning("inode {}: what was last written is not settled: {}", inode.ino, done.error().message);
}

Status Core::fsync(Ino /*ino*/) {
  // One log holds all: the names that lead to the file came before it, or are in the same frame.
  return impl_->store.sync();
}

Status Core::sync() { return impl_->store.sync(); }

std::vector<Ino> Core::writable_inodes() const {
  std::vector<Ino> out;
  for (const HandlePtr& handle : impl_->handles.all()) {
    if (handle->write) out.push_back(handle->ino);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace pailfs
