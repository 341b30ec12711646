// The operations, one function each; run_command() in commands.cc picks. Only commands*.cc include this.
#pragma once

#include "ctl/commands.h"

namespace pailfs::commands {

Result<Json> status(const CommandContext& context, const Json& args);         // commands_status.cc
Result<Json> check(const CommandContext& context, const Json& args);          //
Result<Json> scrub(const CommandContext& context, const Json& args);          // commands_scrub.cc
Result<Json> bucket_list(const CommandContext& context, const Json& args);    // commands_bucket.cc
Result<Json> bucket_show(const CommandContext& context, const Json& args);    //
Result<Json> bucket_create(const CommandContext& context, const Json& args);  //
Result<Json> bucket_delete(const CommandContext& context, const Json& args);  //
Result<Json> versioning_get(const CommandContext& context, const Json& args);
Result<Json> versioning_set(const CommandContext& context, const Json& args);
Result<Json> versioning_keep(const CommandContext& context, const Json& args);
Result<Json> usage(const CommandContext& context, const Json& args);
Result<Json> versions_list(const CommandContext& context, const Json& args);  // commands_versions.cc
Result<Json> versions_show(const CommandContext& context, const Json& args);
Result<Json> versions_restore(const CommandContext& context, const Json& args);
Result<Json> versions_rewind(const CommandContext& context, const Json& args);
Result<Json> versions_undelete(const CommandContext& context, const Json& args);
Result<Json> versions_purge(const CommandContext& context, const Json& args);
Result<Json> versions_prune(const CommandContext& context, const Json& args);
Result<Json> key_list(const CommandContext& context, const Json& args);  // commands_key.cc
Result<Json> key_add(const CommandContext& context, const Json& args);
Result<Json> key_remove(const CommandContext& context, const Json& args);
Result<Json> key_change(const CommandContext& context, const Json& args);
Result<Json> policy_list(const CommandContext& context, const Json& args);  // commands_policy.cc
Result<Json> policy_get(const CommandContext& context, const Json& args);
Result<Json> policy_put(const CommandContext& context, const Json& args);
Result<Json> policy_delete(const CommandContext& context, const Json& args);
Result<Json> policy_lint(const CommandContext& context, const Json& args);
Result<Json> public_show(const CommandContext& context, const Json& args);  // commands_public.cc
Result<Json> public_block_get(const CommandContext& context, const Json& args);
Result<Json> public_block_put(const CommandContext& context, const Json& args);
Result<Json> explain(const CommandContext& context, const Json& args);        // commands_explain.cc
Result<Json> identity_list(const CommandContext& context, const Json& args);  // commands_identity.cc
Result<Json> identity_get(const CommandContext& context, const Json& args);
Result<Json> identity_change(const CommandContext& context, const Json& args);
Result<Json> role_assume(const CommandContext& context, const Json& args);
Result<Json> role_leave(const CommandContext& context, const Json& args);
Result<Json> whoami(const CommandContext& context, const Json& args);
Result<Json> acl_get(const CommandContext& context, const Json& args);  // commands_acl.cc
Result<Json> acl_put(const CommandContext& context, const Json& args);
Result<Json> ownership(const CommandContext& context, const Json& args);
Result<Json> lock_enable(const CommandContext& context, const Json& args);  // commands_lock.cc
Result<Json> lock_status(const CommandContext& context, const Json& args);
Result<Json> lock_default(const CommandContext& context, const Json& args);
Result<Json> lock_retain(const CommandContext& context, const Json& args);
Result<Json> lock_hold(const CommandContext& context, const Json& args);
Result<Json> mfa_status(const CommandContext& context, const Json& args);  // commands_mfa.cc
Result<Json> mfa_enroll(const CommandContext& context, const Json& args);
Result<Json> mfa_remove(const CommandContext& context, const Json& args);
Result<Json> mfa_set(const CommandContext& context, const Json& args);
Result<Json> backup(const CommandContext& context, const Json& args);  // commands_backup.cc

// What `status` and `scrub` say of it.
Result<Json> scrub_status(const CommandContext& context);
// Which bucket, or path in it, the arguments mean; both empty: the whole store. And something inside a bucket.
Result<ObjectPath> target(const CommandContext& context, const Json& args);
Result<ObjectPath> object_target(const CommandContext& context, const Json& args);
Json describe_version(const VersionEntry& entry);
Json describe_lock(const VersionEntry& entry);
Json describe_retention(const BucketInfo& info);  // the default one
// The bucket that the arguments name, or all.
Result<std::vector<std::string>> buckets_argument(const CommandContext& context, const Json& args);
// The arguments bypass_governance and mfa; a code that is given is used up.
Result<Consent> consent_argument(const CommandContext& context, const Json& args);
// "enabled", "suspended" or "off".
Result<Versioning> parse_versioning(std::string_view name);

}  // namespace pailfs::commands
