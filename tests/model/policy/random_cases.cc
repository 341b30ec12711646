#include "random_cases.h"

#include <functional>

namespace pailfs::test {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

const std::string kHome = "111122223333", kAway = "444455556666";

const Words kActions = {"s3:GetObject",       "s3:PutObject",       "s3:ListBucket",         "s3:DeleteObject",
                        "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:ListAllMyBuckets"};
const Words kActionPatterns = {
    "s3:GetObject", "s3:getobject", "s3:Get*",      "s3:*Object", "s3:*",       "*",
    "s3:PutObject", "s3:List*",     "S3:?etObject", "ec2:*",      "s3:*Policy", "sqs:SendMessage"};
const Words kKeys = {"k", "home/alice/k", "home/bob/k", "public/a", "a:b:c", "päth/é", "home/*/k", "x?y", "home/"};
const Words kResourcePatterns = {"*",
                                 "arn:aws:s3:::*",
                                 "arn:aws:s3:::b",
                                 "arn:aws:s3:::b/*",
                                 "arn:aws:s3:::b/home/${aws:username}/*",
                                 "arn:aws:s3:::b/home/${aws:username, 'alice'}/*",
                                 "arn:aws:s3:::b/home/${*}/k",
                                 "arn:aws:s3:::b/x${?}y",
                                 "arn:aws:s3:::b/${s3:prefix}*",
                                 "arn:aws:s3:::b/p?th/?",
                                 "arn:aws:s3:::?/*a*",
                                 "arn:aws:s3:::b/a:b:*",
                                 "arn:*:s3:::b/k",
                                 "arn:aws:s3:*:*:b/k",
                                 "arn:aws:sqs:eu-west-1:111122223333:q",
                                 "arn:aws:s3:::c/*"};
const Words kPrincipals = {"*",
                           kHome,
                           kAway,
                           "arn:aws:iam::111122223333:root",
                           "arn:aws:iam::444455556666:root",
                           "arn:aws:iam::111122223333:user/alice",
                           "arn:aws:iam::111122223333:user/team/bob",
                           "arn:aws:iam::444455556666:user/alice",
                           "arn:aws:iam::111122223333:role/reader",
                           "arn:aws:iam::111122223333:role/path/writer",
                           "arn:aws:sts::111122223333:assumed-role/reader/s1",
                           "arn:aws:sts::111122223333:assumed-role/writer/s2",
                           "arn:aws:sts::111122223333:federated-user/alice",
                           "arn:aws:sts::444455556666:assumed-role/reader/s1"};
const Words kServices = {"logging.s3.amazonaws.com", "backup.amazonaws.com"};
const Words kStrings = {"alice", "bob", "Alice", "",     "home/", "home/alice/", "*",
                        "a?c",   "abc", "päth",  "PÄTH", "true",  "10"};
const Words kStringPatterns = {"alice",
                               "A*",
                               "*",
                               "home/*",
                               "home/${aws:username}/",
                               "${aws:username}",
                               "?lice",
                               "",
                               "a${?}c",
                               "${aws:username, 'bob'}",
                               "${*}",
                               "päth",
                               "p?th",
                               "${s3:prefix}",
                               "BOB",
                               "b*b",
                               "pä*"};
const Words kNumbers = {"0", "10", "10.0", "-3", "1e1", "7.5", "1000"};
const Words kDates = {"2026-11-23T14:56:00Z", "2026-11-23T16:56:00+02:00", "2026-11-23", "2026", "1795445760", "0",
                      "2020-02-29T00:00:00Z"};
const Words kAddresses = {"10.0.0.1", "10.1.2.3", "192.0.2.77", "2001:db8::1", "2001:db8:1234:5678::9",
                          "::1",      "nonsense"};
const Words kRanges = {"10.0.0.0/8", "10.0.0.1",  "192.0.2.64/26", "2001:db8::/32",
                       "::1",        "0.0.0.0/0", "10.0.0.1/31",   "2001:db8::/33"};
const Words kArns = {"arn:aws:iam::111122223333:user/alice", "arn:aws:sns:us-east-2:111122223333:t",
                     "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt", "alice"};
const Words kArnPatterns = {"arn:aws:iam::111122223333:user/*",
                            "arn:aws:someservice:*:111122223333:finance/*",
                            "arn:aws:*:*:*:*",
                            "arn:aws:iam::*:user/${aws:username}",
                            "${aws:principalarn}",
                            "*",
                            "arn:aws:sns:us-east-?:111122223333:t"};
const Words kBooleans = {"true", "false", "True", "FALSE"};
const Words kBinaries = {"QUJD", "QmluYXJ5", "", "QQ=="};
const Words kSids = {"One", "Two", "Three4"};

// A key of a context, what it holds, and what is asked of it.
struct Kind {
  std::string base;  // of the operators
  Words operators, keys;
  const Words& given;
  const Words& asked;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"String",
       {"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
        "StringNotLike"},
       {"aws:username", "s3:prefix", "aws:PrincipalTag/Team", "AWS:UserName"},
       kStrings,
       kStringPatterns},
      {"Numeric",
       {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan",
        "NumericGreaterThanEquals"},
       {"s3:max-keys", "pail:uid"},
       kNumbers,
       kNumbers},
      {"Date",
       {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan",
        "DateGreaterThanEquals"},
       {"aws:CurrentTime"},
       kDates,
       kDates},
      {"Ip", {"IpAddress", "NotIpAddress"}, {"aws:SourceIp"}, kAddresses, kRanges},
      {"Arn",
       {"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"},
       {"aws:PrincipalArn", "aws:SourceArn"},
       kArns,
       kArnPatterns},
      {"Bool", {"Bool"}, {"aws:SecureTransport"}, kBooleans, kBooleans},
      {"Binary", {"BinaryEquals"}, {"x:binary"}, kBinaries, kBinaries},
      {"Null", {"Null"}, {"aws:username", "s3:prefix", "aws:SourceIp"}, kStrings, kBooleans},
  };
  return all;
}

}  // namespace

json RandomCases::one_or_list(const std::function<json()>& make) {
  if (one_in(2)) return make();
  json out = json::array();
  for (uint64_t i = 0; i <= below(3); ++i) out.push_back(make());
  return out;
}

json RandomCases::principal_element() {
  if (one_in(6)) return "*";
  json out = json::object();
  if (!one_in(5)) out["AWS"] = one_or_list([&] { return pick(kPrincipals); });
  if (out.empty() || one_in(5)) out["Service"] = one_or_list([&] { return pick(kServices); });
  if (one_in(20)) out["CanonicalUser"] = std::string(64, 'a');
  return out;
}

json RandomCases::condition() {
  json out = json::object();
  for (uint64_t i = 0; i <= below(2); ++i) {
    const Kind& kind = kinds()[below(kinds().size())];
    std::string op = pick(kind.operators);
    if (one_in(4)) op.insert(0, one_in(2) ? "ForAllValues:" : "ForAnyValue:");
    if (kind.base != "Null" && one_in(4)) op += "IfExists";
    json keys = json::object();
    keys[pick(kind.keys)] = one_or_list([&]() -> json {
      const std::string& value = pick(kind.asked);
      if (kind.base == "Bool" && one_in(2)) return value == "true";
      return value;
    });
    out[op] = keys;
  }
  return out;
}

json RandomCases::statement(bool of_bucket) {
  json out;
  out["Effect"] = one_in(3) ? "Deny" : "Allow";
  out[one_in(8) ? "NotAction" : "Action"] = one_or_list([&] { return pick(kActionPatterns); });
  out[one_in(8) ? "NotResource" : "Resource"] = one_or_list([&] { return pick(kResourcePatterns); });
  if (of_bucket) out[one_in(6) ? "NotPrincipal" : "Principal"] = principal_element();
  if (one_in(2)) out["Condition"] = condition();
  return out;
}

json RandomCases::any_document(bool of_bucket) {
  json out;
  if (!one_in(6)) out["Version"] = one_in(8) ? "2008-10-17" : "2012-10-17";
  if (of_bucket && one_in(6)) out["Id"] = "an id";
  if (one_in(4)) {
    out["Statement"] = statement(of_bucket);
    return out;
  }
  out["Statement"] = json::array();
  for (uint64_t i = 0; i <= below(3); ++i) {
    json one = statement(of_bucket);
    if (one_in(3)) one["Sid"] = kSids[i];
    out["Statement"].push_back(one);
  }
  return out;
}

json RandomCases::document(bool of_bucket) {
  for (;;) {
    json out = any_document(of_bucket);
    // Without variables that is no ARN.
    const bool variables = out.value("Version", "") == "2012-10-17";
    if (variables || out.dump().find("\"${aws:principalarn}\"") == std::string::npos) return out;
  }
}

json RandomCases::principal() {
  struct Person {
    const char *type, *name, *arn;
  };
  static const std::vector<Person> people = {
      {"user", "alice", "arn:aws:iam::111122223333:user/alice"},
      {"user", "bob", "arn:aws:iam::111122223333:user/team/bob"},
      {"user", "alice", "arn:aws:iam::444455556666:user/alice"},
      {"user", "alice", "arn:aws:sts::111122223333:federated-user/alice"},
      {"role", "reader", "arn:aws:iam::111122223333:role/reader"},
      {"role", "reader", "arn:aws:sts::111122223333:assumed-role/reader/s1"},
      {"role", "writer", "arn:aws:sts::111122223333:assumed-role/writer/s2"},
      {"role", "reader", "arn:aws:sts::444455556666:assumed-role/reader/s1"},
      {"root", "root", "arn:aws:iam::111122223333:root"},
      {"root", "root", "arn:aws:iam::444455556666:root"},
      {"service", "logging.s3.amazonaws.com", nullptr},
      {"anonymous", nullptr, nullptr},
  };
  const Person& person = people[below(people.size())];
  json out = {{"type", person.type}, {"name", nullptr}, {"arn", nullptr}, {"groups", {"dev"}}};
  if (person.name != nullptr) out["name"] = person.name;
  if (person.arn != nullptr) out["arn"] = person.arn;
  return out;
}

json RandomCases::context() {
  json out = json::object();
  for (const Kind& kind : kinds()) {
    if (kind.base == "Null" || one_in(3)) continue;
    json values = json::array();
    const uint64_t count = one_in(4) ? below(4) : 1;
    for (uint64_t i = 0; i < count; ++i) values.push_back(one_in(12) ? pick(kStrings) : pick(kind.given));
    std::string key = pick(kind.keys);
    out[key == "AWS:UserName" ? "aws:username" : key] = values;
  }
  return out;
}

json RandomCases::next() {
  json out = {
      {"id", below(1000)}, {"account", kHome}, {"principal", principal()}, {"identity_policies", json::array()}};
  const uint64_t count = one_in(3) ? 0 : 1 + below(2);
  for (uint64_t i = 0; i < count; ++i) out["identity_policies"].push_back(document(false));
  out["boundary"] = one_in(3) ? document(false) : json();
  out["bucket_policy"] = one_in(4) ? json() : document(true);
  std::string action = pick(kActions), resource = "arn:aws:s3:::b";
  if (action.ends_with("Object")) resource += "/" + pick(kKeys);
  if (action == "s3:ListAllMyBuckets") resource = one_in(2) ? "*" : "arn:aws:s3:::*";
  out["request"] = {{"action", action}, {"resource", resource}, {"context", context()}};
  return out;
}

std::string RandomCases::spoil(json& document, bool of_bucket) {
  json& statements = document["Statement"];
  json& one = statements.is_array() ? statements[below(statements.size())] : statements;
  const std::vector<std::pair<std::string, std::function<void()>>> ways = {
      {"an unknown element", [&] { document["Staement"] = 1; }},
      {"an unknown element of a statement", [&] { one["Condtion"] = json::object(); }},
      {"a version that does not exist", [&] { document["Version"] = "2012-10-18"; }},
      {"no statement", [&] { document.erase("Statement"); }},
      {"an empty list of statements", [&] { document["Statement"] = json::array(); }},
      {"no effect", [&] { one.erase("Effect"); }},
      {"an effect in lower case", [&] { one["Effect"] = "allow"; }},
      {"no action", [&] { one.erase("Action"), one.erase("NotAction"); }},
      {"both kinds of action", [&] { one["Action"] = one["NotAction"] = "s3:*"; }},
      {"an action without a service", [&] { one.erase("NotAction"), one["Action"] = "GetObject"; }},
      {"an empty list of actions", [&] { one.erase("NotAction"), one["Action"] = json::array(); }},
      {"no resource", [&] { one.erase("Resource"), one.erase("NotResource"); }},
      {"a resource that is no ARN", [&] { one.erase("NotResource"), one["Resource"] = "bucket/*"; }},
      {"a resource with too few parts", [&] { one.erase("NotResource"), one["Resource"] = "arn:aws:s3:b"; }},
      {"a condition that is a list", [&] { one["Condition"] = json::array(); }},
      {"an unknown operator", [&] { one["Condition"] = {{"StringEqual", {{"aws:username", "x"}}}}; }},
      {"Null with IfExists", [&] { one["Condition"] = {{"NullIfExists", {{"aws:username", "true"}}}}; }},
      {"a key without a prefix", [&] { one["Condition"] = {{"StringEquals", {{"username", "x"}}}}; }},
      {"a value that is an object", [&] { one["Condition"] = {{"StringEquals", {{"aws:username", json::object()}}}}; }},
      {"a value that is null", [&] { one["Condition"] = {{"StringEquals", {{"aws:username", nullptr}}}}; }},
      {"no number", [&] { one["Condition"] = {{"NumericEquals", {{"s3:max-keys", "ten"}}}}; }},
      {"no date", [&] { one["Condition"] = {{"DateLessThan", {{"aws:CurrentTime", "2026-13-01"}}}}; }},
      {"no boolean", [&] { one["Condition"] = {{"Bool", {{"aws:SecureTransport", "yes"}}}}; }},
      {"no address", [&] { one["Condition"] = {{"IpAddress", {{"aws:SourceIp", "10.0.0.0/33"}}}}; }},
      {"no base64", [&] { one["Condition"] = {{"BinaryEquals", {{"x:binary", "a"}}}}; }},
      {"no ARN in a condition", [&] { one["Condition"] = {{"ArnLike", {{"aws:SourceArn", "arn:aws:sns"}}}}; }},
      {"a variable without end",
       [&] {
         document["Version"] = "2012-10-17";
         one["Condition"] = {{"StringLike", {{"s3:prefix", "${aws:username"}}}};
       }},
      {"keys that differ in case only",
       [&] { one["Condition"] = {{"StringLike", {{"s3:prefix", "a"}, {"S3:Prefix", "b"}}}}; }},
      {"a principal in the wrong place, or none",
       [&] {
         if (!of_bucket) {
           one["Principal"] = "*";
         } else {
           one.erase("Principal"), one.erase("NotPrincipal");
         }
       }},
      {"a principal with a wildcard, or an Id",
       [&] {
         if (!of_bucket) {
           document["Id"] = "x";
         } else {
           one.erase("NotPrincipal"), one["Principal"] = {{"AWS", "arn:aws:iam::111122223333:user/*"}};
         }
       }},
      {"a Sid that is not allowed", [&] { one["Sid"] = of_bucket ? json(7) : json("not one"); }},
  };
  const auto& [name, way] = ways[below(ways.size())];
  way();
  return name;
}

}  // namespace pailfs::test
