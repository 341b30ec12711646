#include "core/public_access.h"
#include "core/public_report.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {
namespace {

Json describe(uint8_t switches) {
  Json out = Json::object();
  for (const PublicSwitch one : kPublicSwitches) out[std::string(public_switch_name(one))] = has_switch(switches, one);
  return out;
}

Json describe(const std::string& bucket, const PublicReport& report) {
  Json policy = {{"exists", report.has_policy}, {"public", !report.public_statement.empty()}};
  if (!report.public_statement.empty()) policy["statement"] = report.public_statement;
  if (!report.policy_readable) policy["problem"] = "it cannot be read: nobody but root is allowed anything";
  Json places = Json::array();
  for (const PublicReport::Place& place : report.places) {
    places.push_back({{"path", bytes_to_json(place.path)},
                      {"directory", place.directory},
                      {"mode", place.mode},
                      {"others", place.others},
                      {"authenticated_users", place.authenticated}});
  }
  return {{"bucket", bucket},
          {"own", describe(report.own)},
          {"in_force", describe(report.in_force)},
          {"policy", std::move(policy)},
          {"objects", report.objects},
          {"directories", report.directories},
          {"public_objects", report.public_objects},
          {"public_directories", report.public_directories},
          {"places", std::move(places)}};
}

Result<Json> describe_block(const CommandContext& context, const std::string& bucket) {
  PAILFS_ASSIGN(const auto block, context.core.public_access_block(context.caller, bucket));
  Json out = {{"own", describe(block.own)}, {"in_force", describe(block.in_force)}};
  if (!bucket.empty()) out["bucket"] = bucket;
  return out;
}

}  // namespace

Result<Json> public_show(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "looking for what is public"));
  PAILFS_ASSIGN(const auto names, buckets_argument(context, args));
  PAILFS_ASSIGN(const auto store, context.core.public_access_block(context.caller, ""));
  Json reports = Json::array();
  for (const std::string& name : names) {
    PAILFS_ASSIGN(const PublicReport report, context.core.public_report(context.caller, name, context.progress));
    reports.push_back(describe(name, report));
  }
  return Json{{"store", describe(store.own)}, {"buckets", std::move(reports)}};
}

Result<Json> public_block_get(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string bucket, string_argument(args, "bucket", ""));
  return describe_block(context, bucket);
}

Result<Json> public_block_put(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string bucket, string_argument(args, "bucket", ""));
  uint8_t switches = 0;
  for (const PublicSwitch one : kPublicSwitches) {
    PAILFS_ASSIGN(const bool on, bool_argument(args, std::string(public_switch_name(one)).c_str(), false));
    if (on) switches = static_cast<uint8_t>(switches | static_cast<uint8_t>(one));
  }
  PAILFS_TRY(context.core.put_public_access_block(context.caller, bucket, switches));
  return describe_block(context, bucket);
}

}  // namespace pailfs::commands
