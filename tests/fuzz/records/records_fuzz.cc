// Every value that the index holds: of the core, of the store, and POSIX ACLs. The first byte says which, the rest is
// the value. What a decoder accepts is exactly what the encoder writes, so that no two values mean the same.
#include <array>

#include "core/acl.h"
#include "core/identity.h"
#include "core/mfa.h"
#include "core/public_access.h"
#include "core/records.h"
#include "core/retention_clock.h"
#include "core/scrub_findings.h"
#include "core/shares.h"
#include "fuzz/support/fuzz.h"
#include "store/internal_keys.h"

namespace pailfs::test {
namespace {

template <class Decode, class Encode>
void check(std::string_view value, Decode decode, Encode encode) {
  const auto decoded = decode(value);
  if (!decoded) {
    FUZZ_CHECK(decoded.error().code == Code::kCorrupt || decoded.error().code == Code::kTooNew);
    FUZZ_CHECK(!decoded.error().message.empty());
    return;
  }
  FUZZ_CHECK(encode(*decoded) == value);
}

// What setxattr(2) takes from users: other bytes may mean the same here, but what comes out of it is stable.
void check_acl_attribute(std::string_view value) {
  const auto parsed = parse_acl(value);
  if (!parsed) {
    FUZZ_CHECK(parsed.error().code == Code::kInvalid || parsed.error().code == Code::kNotSupported);
    return;
  }
  if (!check_acl(*parsed)) return;
  const auto again = parse_acl(format_acl(*parsed));
  FUZZ_CHECK(again && *again == *parsed);
  const auto stored = decode_acl(encode_acl(*parsed));
  FUZZ_CHECK(stored && **stored == *parsed);
  const uint32_t mode = acl_mode(*parsed);
  FUZZ_CHECK(mode <= 0777);
  FUZZ_CHECK(acl_with_mode(*parsed, mode) == *parsed);
  for (const uint32_t wanted : {0u, 0640u, 0777u}) {
    const Acl changed = acl_with_mode(*parsed, wanted);
    FUZZ_CHECK(check_acl(changed));
    FUZZ_CHECK(acl_mode(changed) == wanted);
    const InheritedAcl inherited = inherit_acl(*parsed, wanted);
    FUZZ_CHECK((inherited.permissions & ~wanted) == 0);
    FUZZ_CHECK(!inherited.acl || acl_mode(*inherited.acl) == inherited.permissions);
  }
}

// Units that several owners show: the place, as the key has it, then the value.
void check_shared(std::string_view input) {
  if (input.size() < 16) return;
  const StoreView::Entry entry{"s" + std::string(input.substr(0, 16)), std::string(input.substr(16))};
  check(
      entry.value, [&](std::string_view) { return decode_shared(entry); },
      [](const SharedRange& shared) {
        FUZZ_CHECK(shared.range.begin < shared.range.end && shared.owners > 1);
        Encoder out;
        out.varint(shared.range.end - shared.range.begin);
        out.varint(shared.owners);
        return out.take();
      });
}

// A frame's content holds views into the payload.
void check_frame(std::string_view value) { check(value, internal::decode_frame, internal::encode_frame); }

void check_one(uint8_t kind, std::string_view value) {
  if (kind == 0xfb) return check(value, decode_identity, encode_identity);
  if (kind == 0xfa) return check(value, decode_public_access, encode_public_access);
  if (kind == 0xfc) return check(value, decode_clock, encode_clock);
  if (kind == 0xfd) return check(value, decode_mfa, encode_mfa);
  if (kind == 0xfe) return check(value, decode_scrub_state, encode_scrub_state);
  if (kind == 0xff) return check(value, decode_finding, encode_finding);
  switch (kind % 16) {
    case 0:
      return check(value, decode_extents, encode_extents);
    case 1:
      return check(value, decode_inode, encode_inode);
    case 2:
      return check(value, decode_dirent, encode_dirent);
    case 3:
      return check(value, decode_ended, encode_ended);
    case 4:
      return check(value, decode_bucket, encode_bucket);
    case 5:
      return check(value, decode_xattr, encode_xattr);
    case 6:
      return check(value, decode_counter, encode_counter);
    case 7:
      return check(value, decode_acl, [](const AclPtr& acl) { return encode_acl(*acl); });
    case 8:
      return check_acl_attribute(value);
    case 9:
      return check(value, internal::decode_ranges, internal::encode_ranges);
    case 10:
      return check(value, internal::decode_position, internal::encode_position);
    case 11:
      return check(value, internal::decode_segment, internal::encode_segment);
    case 12:
      return check(value, internal::decode_moved, internal::encode_moved);
    case 13:
      return check_frame(value);
    case 14:
      return check_shared(value);
    default: {
      const internal::Key3 key = internal::parse_key3(value);
      if (value.size() == 17) FUZZ_CHECK(internal::key3(value[0], key.a, key.b) == value);
    }
  }
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) pailfs::test::check_one(data[0], pailfs::test::input_of(data + 1, size - 1));
  return 0;
}
