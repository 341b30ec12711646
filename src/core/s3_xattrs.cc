// The attributes user.s3.*: what S3 says of an object, a version or a bucket. They answer by name and are never listed,
// so that copies stay faithful.
//
//   user.s3.version-id   of files and versions: 26 characters, or "null"
//   user.s3.is-latest    "true" or "false"
//   user.s3.etag         32 hexadecimal digits and "-1": another one for every content that was stored. No MD5 (as of
//                        multipart uploads and of encrypted objects in S3, "Checking object integrity")
//   user.s3.last-denial  of any directory: what was last refused to the process that asks (denials.h)
//   user.s3.policy       of a bucket's directory: its policy, which may be set and removed
//   user.s3.versioning   of a bucket's directory: "Enabled", "Suspended" or "Off"; may be set, but not to the last
#include "core/s3_xattrs.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/codec.h"

namespace pailfs {

namespace {

constexpr std::string_view kVersionId = "user.s3.version-id";
constexpr std::string_view kIsLatest = "user.s3.is-latest";
constexpr std::string_view kEtag = "user.s3.etag";
constexpr std::string_view kVersioning = "user.s3.versioning";

std::unexpected<Error> no_data() { return fail(Code::kNoData, "no such attribute"); }

std::string etag(const Store& store, Ino ino, const InodeRecord& record) {
  Encoder identity;
  identity.raw("etag");
  identity.be64(ino);
  identity.varint(record.vseq);
  identity.i64(record.version.sealed);
  std::string text;
  for (const char c : store.token(bucket_of(ino), identity.str()))
    text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text + "-1";
}

std::string_view state_name(Versioning state) {
  switch (state) {
    case Versioning::kEnabled:
      return "Enabled";
    case Versioning::kSuspended:
      return "Suspended";
    case Versioning::kOff:
      break;
  }
  return "Off";
}

}  // namespace

Result<std::string> s3_xattr(Core::Impl& core, Ino ino, const InodeRecord& record, bool latest, std::string_view name) {
  if (S_ISDIR(record.mode)) {
    if (name != kVersioning || ino != bucket_root(bucket_of(ino)) || bucket_of(ino) == kStoreScope) return no_data();
    return std::string(state_name(core.versioning(bucket_of(ino))));
  }
  if (name == kIsLatest) return std::string(latest ? "true" : "false");
  // What was written and not closed is no version yet.
  if (!record.sealed) return no_data();
  if (name == kVersionId) return record.version.null_id ? "null" : format_version_id(record.version.id);
  if (name == kEtag) return etag(core.store, ino, record);
  return no_data();
}

Result<Versioning> versioning_of_xattr(Ino ino, std::string_view name, std::string_view value) {
  if (name != kVersioning || ino != bucket_root(bucket_of(ino)) || bucket_of(ino) == kStoreScope) {
    return fail(Code::kNotPermitted, "this attribute cannot be set");
  }
  if (value == "Enabled" || value == "enabled") return Versioning::kEnabled;
  if (value == "Suspended" || value == "suspended") return Versioning::kSuspended;
  return fail(Code::kInvalid, "user.s3.versioning is set to Enabled or Suspended");
}

}  // namespace pailfs
