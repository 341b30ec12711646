#include "base/codec.h"
#include "core/impl.h"

namespace pailfs {

// version, time, action, door, uid, gid, pid, parent, name, ino, then which versions follow (1: before, 2: after), and
// they.
std::string encode_change(const ChangeRecord& change, Time time) {
  const bool before = change.before != VersionId{}, after = change.after != VersionId{};
  Encoder out;
  out.u8(1);
  out.i64(time);
  out.u8(static_cast<uint8_t>(change.action));
  out.u8(static_cast<uint8_t>(change.caller.door));
  out.varint(change.caller.uid);
  out.varint(change.caller.gid);
  out.varint(change.caller.pid);
  out.varint(change.parent);
  out.bytes(change.name);
  out.varint(change.ino);
  out.u8(static_cast<uint8_t>((before ? 1 : 0) | (after ? 2 : 0)));
  if (before) out.raw({change.before.data(), change.before.size()});
  if (after) out.raw({change.after.data(), change.after.size()});
  return out.take();
}

}  // namespace pailfs
