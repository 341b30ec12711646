// The documents of a world.
#include <algorithm>

#include "random_world.h"

namespace pailfs::test {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

const Words kActions = {"s3:*",
                        "s3:*",
                        "s3:GetObject",
                        "s3:GetObject*",
                        "s3:PutObject",
                        "s3:PutObject",
                        "s3:PutObject*",
                        "s3:PutObjectAcl",
                        "s3:DeleteObject",
                        "s3:DeleteObject*",
                        "s3:*Object",
                        "s3:ListBucket",
                        "s3:ListBucket*",
                        "s3:GetObjectVersion",
                        "s3:Get*",
                        "s3:List*",
                        "s3:ListBucketVersions",
                        "s3:PutBucketAcl"};

// What an operation asks for last.
std::string action_of(Operation operation) {
  switch (operation) {
    case Operation::kLookup:
    case Operation::kList:
    case Operation::kReadLink:
    case Operation::kGetAcl:
      return "s3:ListBucket";
    case Operation::kRead:
    case Operation::kReadWrite:
    case Operation::kExecute:
    case Operation::kAccess:
    case Operation::kGetXattr:
      return "s3:GetObject";
    case Operation::kUnlink:
    case Operation::kRemoveDirectory:
    case Operation::kRename:
    case Operation::kExchange:
      return "s3:DeleteObject";
    case Operation::kChmod:
    case Operation::kChown:
    case Operation::kChgrp:
    case Operation::kTouch:
    case Operation::kSetTimes:
    case Operation::kSetAcl:
    case Operation::kSetDefaultAcl:
      return "s3:PutObjectAcl";
    case Operation::kReadVersion:
      return "s3:GetObjectVersion";
    case Operation::kRemoveVersion:
      return "s3:DeleteObjectVersion";
    default:
      return "s3:PutObject";
  }
}

std::string directory_of(const Question& question) {
  std::string out;
  for (const std::string& name : question.directory) out = joined(out, name);
  return out;
}

std::string target_of(const Question& question) {
  return question.name.empty() ? directory_of(question) : joined(directory_of(question), question.name);
}

std::string new_key_of(const Question& question) {
  std::string out;
  for (const std::string& name : question.to) out = joined(out, name);
  return joined(out, question.new_name);
}

}  // namespace

std::string RandomWorld::resource(const World& world, const Question& about) {
  const std::string bucket = "arn:aws:s3:::" + world.bucket, directory = directory_of(about);
  std::vector<std::string> keys = {
      "*", "*", joined(directory, "*"), target_of(about), target_of(about) + "*", target_of(about) + "/*"};
  if (one_in(3)) keys = {"a", "a/*", "b/*", "*/f", "${aws:username}/*", "*/${aws:username}*", "?", "?/*", "*/n", "f"};
  if (!about.new_name.empty() && one_in(2)) keys = {new_key_of(about), new_key_of(about) + "*", "*/n"};
  std::string key = pick(keys);
  if (one_in(5) || key.empty() || key.starts_with("/")) return bucket;
  return bucket + "/" + key;
}

std::string RandomWorld::prefix(const Question& about) {
  const std::string directory = directory_of(about), target = target_of(about);
  std::vector<std::string> all = {"",     directory,    directory + "/",    directory + "/*",
                                  target, target + "/", target + "/*",      "*",
                                  "a/*",  "a*",         "${aws:username}/*"};
  return pick(all);
}

json RandomWorld::condition(const World& world, const Question& about) {
  const std::string iam = "arn:aws:iam::" + world.account + ":";
  switch (below(8)) {
    case 0:
    case 1:
    case 2: {
      json values = json::array({prefix(about)});
      if (one_in(2)) values.push_back(prefix(about));
      std::string name = one_in(3) ? "StringNotLike" : "StringLike";
      if (one_in(4)) name += "IfExists";
      return {{name, {{"s3:prefix", values}}}};
    }
    case 3:
      return {{one_in(2) ? "StringEquals" : "StringNotEquals", {{"aws:username", one_in(2) ? "alice" : "bob"}}}};
    case 4:
      return {{one_in(2) ? "NumericEquals" : "NumericNotEquals", {{"pail:uid", std::to_string(about.asker.uid)}}}};
    case 5:
      return {{"NumericEquals", {{"pail:gid", std::to_string(one_in(2) ? about.asker.gid : kDevGid)}}}};
    case 6: {
      static const Words types = {"User", "Anonymous", "Account", "AssumedRole"};
      return {{one_in(2) ? "StringEquals" : "StringNotEquals", {{"aws:PrincipalType", pick(types)}}}};
    }
    default:
      if (one_in(2)) return {{"Null", {{"aws:username", one_in(2) ? "true" : "false"}}}};
      return {{one_in(2) ? "ArnLike" : "ArnNotLike", {{"aws:PrincipalArn", iam + (one_in(2) ? "user/*" : "root")}}}};
  }
}

json RandomWorld::principal(const World& world, const Asker& asker) {
  const std::string iam = "arn:aws:iam::" + world.account + ":";
  const std::string session = "arn:aws:sts::" + world.account + ":assumed-role/keeper/" + kSessionName;
  const Words arns = {iam + "user/alice", iam + "user/bob", iam + "root", iam + "role/keeper", session};
  if (one_in(3)) return "*";
  if (one_in(4)) return {{"AWS", "*"}};
  if (one_in(2) && (asker.who == "alice" || asker.who == "bob")) return {{"AWS", iam + "user/" + asker.who}};
  if (one_in(2) && asker.who == "keeper") return {{"AWS", one_in(2) ? iam + "role/keeper" : session}};
  if (one_in(3)) return {{"AWS", json::array({pick(arns), pick(arns)})}};
  return {{"AWS", pick(arns)}};
}

json RandomWorld::statement(const World& world, const Question& about, bool of_bucket) {
  json out;
  out["Effect"] = one_in(3) ? "Deny" : "Allow";
  json actions = json::array({one_in(2) ? action_of(about.operation) : pick(kActions)});
  while (one_in(2)) actions.push_back(pick(kActions));
  const std::string bucket = "arn:aws:s3:::" + world.bucket;
  json resources = json::array({resource(world, about)});
  if (one_in(2)) resources.push_back(resource(world, about));
  if (one_in(4)) resources = json::array({bucket, bucket + "/*"});
  out[one_in(12) ? "NotAction" : "Action"] = actions;
  out[one_in(12) ? "NotResource" : "Resource"] = resources;
  if (of_bucket) out[one_in(10) ? "NotPrincipal" : "Principal"] = principal(world, about.asker);
  if (one_in(4)) out["Condition"] = condition(world, about);
  return out;
}

json RandomWorld::document(const World& world, const std::vector<Question>& questions, bool of_bucket) {
  json out = {{"Version", "2012-10-17"}, {"Statement", json::array()}};
  do {
    out["Statement"].push_back(statement(world, pick(questions), of_bucket));
  } while (one_in(2));
  return out;
}

void RandomWorld::give_policies(World& world, const std::vector<Question>& questions) {
  if (one_in(4)) return;
  if (!one_in(4)) world.bucket_policy = document(world, questions, true);
  if (one_in(3)) world.alices = document(world, questions, false);
  if (one_in(4)) world.bobs = document(world, questions, false);
  if (one_in(4)) world.dev = document(world, questions, false);
  if (one_in(2)) world.keepers = document(world, questions, false);
  if (one_in(6)) world.alices_boundary = document(world, questions, false);
}

}  // namespace pailfs::test
