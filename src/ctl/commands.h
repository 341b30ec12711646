// The operations of the control door, on a Core. The daemon's server runs them for its clients, and `pail` runs them
// itself on a store that no daemon serves: one code, one authorization.
//
// Arguments and results are JSON objects; man/pail.1, section "JSON", describes the results.
//
//   status                                                          anybody
//   bucket.list                                                     anybody; the gate decides what he sees
//   bucket.show     bucket                                          as the gate says
//   bucket.create   bucket [versioning] [mode] [object_lock]        as the gate says; with object_lock the account
//   bucket.delete   bucket [purge] [bypass_governance] [mfa]        as the gate says; with purge the account
//   versioning.get  bucket                                          as bucket.show
//   versioning.set  bucket state [mfa]                              the account
//   versioning.keep bucket [days] [count]                           the account
//   usage                                                           anybody; the gate decides what he sees
//   versions.list   bucket path | mount_path                        as the gate says
//   versions.show   bucket path version | mount_path version        as the gate says
//   versions.restore  bucket path version | mount_path version      as the gate says
//   versions.rewind [bucket [path] | mount_path] to [from] [keep_newer] [dry_run]  as the gate says
//   versions.undelete  bucket path | mount_path [dry_run]           as the gate says
//   versions.purge  bucket path version | mount_path version, [bypass_governance] [mfa]  the account
//   versions.prune  [bucket [path] | mount_path] [older_than] [keep] [dry_run] [mfa]     the account
//   policy.list                                                     anybody; the gate decides what he sees
//   policy.get      bucket                                          as the gate says
//   policy.put      bucket policy [accept_unknown_keys]             as the gate says
//   policy.delete   bucket                                          as the gate says
//   policy.lint     [bucket]                                        the account
//   public.show     [bucket]                                        the account
//   public.block.get  [bucket]                                      as the gate says
//   public.block.put  [bucket] [the switches that are on, by name]  as the gate says
//   explain         user operation [bucket [path] | mount_path] [to] [groups]       anybody about himself, the account
//                                                                                   about all; nothing is changed
//   lock.enable     bucket                                          the account
//   lock.status     bucket [path [version]] | mount_path [version]  as bucket.show and versions.list
//   lock.default    bucket [mode and days or years]                 the account
//   lock.retain     bucket path | mount_path, [version] [mode and until, days or years] [bypass_governance]  the
//   account lock.hold       bucket path | mount_path, [version] on          the account mfa.status the account
//   mfa.enroll      secret code                                     the account
//   mfa.remove      code                                            the account
//   mfa.set         bucket on code                                  the account
//   key.list                                                        the account
//   key.add         kind secret [label]                             the account
//   key.remove      id                                              the account
//   key.change      kind secret [id] [label]                        the account
//   check           [deep]                                          the account
//   scrub           [now]                                           anybody; with now the account
//   backup          target [replace]                                the account
//
// mount_path is a path as seen from the root of the mount: where only one bucket is mounted, that bucket is put before
// it.
#pragma once

#include <string_view>

#include "core/core.h"
#include "ctl/protocol.h"
#include "ctl/server.h"

namespace pailfs {

struct CommandContext {
  Core& core;
  const Caller& caller;
  StatusSource* daemon = nullptr;  // null: no daemon, the command works on the store by itself
  Progress progress;               // may be empty
};

// kInvalid for an unknown op or bad arguments, kAccessDenied for what is the account's alone.
Result<Json> run_command(const CommandContext& context, std::string_view op, const Json& args);

// The account or uid 0. Administration of the store is no S3 action: no policy can give it away.
Status require_account(const CommandContext& context, std::string_view what);
bool is_account(const CommandContext& context);
// What the gate refused to somebody else, said in words: `what` is for the account, and for whom a policy allows it.
Error refusal_text(const CommandContext& context, std::string_view what, Error refused);
template <class T>
std::expected<T, Error> or_say(const CommandContext& context, std::string_view what, std::expected<T, Error> done) {
  if (!done) return std::unexpected(refusal_text(context, what, std::move(done).error()));
  return done;
}

// Splits "/bucket/some/key" (leading slash optional, repeated slashes count once). Either part may come out empty.
struct ObjectPath {
  std::string bucket;
  std::string path;
};
ObjectPath split_object_path(std::string_view path);

}  // namespace pailfs
