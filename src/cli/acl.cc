// `pail acl get|put` and `pail ownership`.
#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/session.h"
#include "cli/targets.h"

namespace pailfs::cli {
namespace {

struct AclOptions {
  std::string path;
  std::string canned;
  std::vector<std::string> grants;
};

struct OwnershipOptions {
  std::string bucket;
  std::string value;
};

constexpr std::string_view kEnforced = "BucketOwnerEnforced";

std::string words(const Json& list) {
  std::string out;
  for (const Json& one : list) {
    if (!out.empty()) out += ' ';
    if (one.is_string()) out += one.get<std::string>();
  }
  return out;
}

std::string grantee_words(const Json& grantee) {
  std::string type = text_member(grantee, "type");
  const std::string name = printable(text_member(grantee, "name"));
  if (type == "user") return name.empty() ? fmt::format("uid {}", number_member(grantee, "uid")) : name;
  if (type == "group") return "group " + (name.empty() ? std::to_string(number_member(grantee, "gid")) : name);
  return type;
}

void print_acl(Invocation& invocation, const Json& acl) {
  const auto row = [&](const std::string& who, const std::string& what) {
    invocation.line(fmt::format("{:<24} {}", who, what));
  };
  row("owner", grantee_words(object_member(acl, "owner")));
  for (const Json& grant : object_member(acl, "grants")) {
    row(grantee_words(object_member(grant, "grantee")), words(object_member(grant, "permissions")));
  }
  for (const Json& grant : object_member(acl, "withheld")) {
    row(grantee_words(object_member(grant, "grantee")),
        fmt::format("not {}, though AllUsers have it", words(object_member(grant, "permissions"))));
  }
  if (text_member(acl, "ownership") == kEnforced) {
    invocation.line("ACLs decide nothing in this bucket: it is BucketOwnerEnforced.");
  }
}

// alice=READ,WRITE
Result<Json> parse_grant(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return fail(Code::kInvalid,
                fmt::format("'{}' is no grant: it is WHO=PERMISSION, as in alice=READ,WRITE", printable(text)));
  }
  Json permissions = Json::array();
  std::string_view rest = std::string_view(text).substr(equals + 1);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    permissions.push_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return Json{{"grantee", bytes_to_json(text.substr(0, equals))}, {"permissions", std::move(permissions)}};
}

int send(Invocation& invocation, const AclOptions& options, Access access, std::string_view op, const Json& more) {
  auto target = choose_bucket_or_path(invocation, options.path);
  if (!target) return invocation.failed(target.error());
  target->args.update(more);
  const auto result = request_once(invocation, target->store, access, op, target->args);
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) print_acl(invocation, *result);
  return kExitOk;
}

int put(Invocation& invocation, const AclOptions& options) {
  if (options.canned.empty() == options.grants.empty()) {
    return invocation.failed({Code::kInvalid, "give a canned ACL, as in 'pail acl put PATH private', or --grant"},
                             kExitUsage);
  }
  Json more = Json::object();
  if (!options.canned.empty()) more["canned"] = options.canned;
  for (const std::string& text : options.grants) {
    const auto grant = parse_grant(text);
    if (!grant) return invocation.failed(grant.error(), kExitUsage);
    more["grants"].push_back(*grant);
  }
  return send(invocation, options, Access::kChange, "acl.put", more);
}

int ownership(Invocation& invocation, const OwnershipOptions& options) {
  const auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  Json args = {{"bucket", options.bucket}};
  if (!options.value.empty()) args["ownership"] = options.value;
  const auto result = request_once(invocation, place->store, options.value.empty() ? Access::kRead : Access::kChange,
                                   "ownership", args);
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) {
    invocation.line(
        fmt::format("The object ownership of {} is {}.", options.bucket, text_member(*result, "ownership")));
    if (options.value == kEnforced)
      invocation.line("What no policy allows is for root and the owner of the store now.");
  }
  return kExitOk;
}

}  // namespace

void add_acl_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const acl = app.add_subcommand("acl", "Who may do what, in S3's words: a view of mode bits and POSIX ACLs");
  acl->require_subcommand(1);
  auto options = std::make_shared<AclOptions>();
  invocation
      .command(*acl, "get", "Say who is granted what",
               [&invocation, options] { return send(invocation, *options, Access::kRead, "acl.get", Json::object()); })
      ->add_option("PATH", options->path, kTargetHelp)
      ->required();

  options = std::make_shared<AclOptions>();
  CLI::App* const leaf = invocation.command(*acl, "put", "Replace all grants",
                                            [&invocation, options] { return put(invocation, *options); });
  leaf->add_option("PATH", options->path, kTargetHelp)->required();
  CLI::Option* const canned =
      leaf->add_option("CANNED", options->canned,
                       "private, public-read, public-read-write, authenticated-read, bucket-owner-read, "
                       "bucket-owner-full-control, or log-delivery-write");
  leaf->add_option("--grant", options->grants,
                   "READ, WRITE, READ_ACP, WRITE_ACP or FULL_CONTROL for a login name, uid, ARN, group:NAME, AllUsers, "
                   "AuthenticatedUsers or LogDelivery; may be given several times")
      ->type_name("WHO=PERMISSION,...")
      ->allow_extra_args(false)
      ->excludes(canned);

  const auto owned = std::make_shared<OwnershipOptions>();
  CLI::App* const ownership_leaf =
      invocation.command(app, "ownership", "Say, or set, what ACLs and writers' ownership mean in a bucket",
                         [&invocation, owned] { return ownership(invocation, *owned); });
  ownership_leaf->add_option("BUCKET", owned->bucket)->required();
  ownership_leaf->add_option("OWNERSHIP", owned->value, "ObjectWriter, BucketOwnerPreferred or BucketOwnerEnforced")
      ->check(CLI::IsMember({"ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced"}));
}

}  // namespace pailfs::cli
