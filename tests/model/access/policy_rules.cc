#include "policy_rules.h"

#include <algorithm>
#include <set>

#include "../policy/reference.h"

namespace pailfs::test {
namespace {

using nlohmann::json;

std::string arn_of(const World& world, const Asker& asker) {
  const std::string iam = "arn:aws:iam::" + world.account + ":";
  if (asker.who == "root" || asker.who == "owner") return iam + "root";
  if (asker.who == "keeper") return "arn:aws:sts::" + world.account + ":assumed-role/keeper/" + kSessionName;
  return asker.who == "nobody" ? "" : iam + "user/" + asker.who;
}

std::string type_of(const Asker& asker) {
  if (asker.who == "root" || asker.who == "owner") return "Account";
  if (asker.who == "keeper") return "AssumedRole";
  return asker.who == "nobody" ? "Anonymous" : "User";
}

// As the reference has it.
const char* word_of(const std::string& type) {
  if (type == "Account") return "root";
  return type == "User" ? "user" : type == "AssumedRole" ? "role" : "anonymous";
}

// A text that the rest of a pattern stands for.
std::string spelled(const std::string& rest) {
  std::string out;
  for (const char c : rest) {
    if (c != '*') out += c == '?' ? 'z' : c;
  }
  return out;
}

// Texts that begin like `wanted` and that the pattern stands for: its wildcards take what they have to.
void spell_out(const std::string& pattern, size_t at, const std::string& wanted, size_t done,
               std::set<std::string>& out) {
  if (done == wanted.size()) {
    const std::string end = spelled(pattern.substr(at));
    out.insert(wanted + (end.empty() && at < pattern.size() ? "z" : end));
    return;
  }
  if (at == pattern.size()) return;
  if (pattern[at] == '*') {
    spell_out(pattern, at + 1, wanted, done, out);
    spell_out(pattern, at, wanted, done + 1, out);
  } else if (pattern[at] == '?' || pattern[at] == wanted[done]) {
    spell_out(pattern, at + 1, wanted, done + 1, out);
  }
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// Whether anything is left.
bool take_denials(json& document) {
  if (document.is_null()) return false;
  json kept = json::array();
  for (const json& statement : document["Statement"]) {
    if (statement["Effect"] == "Allow") kept.push_back(statement);
  }
  document["Statement"] = kept;
  return !kept.empty();
}

}  // namespace

const std::vector<std::string>& object_actions() {
  static const std::vector<std::string> all = {"s3:GetObject",    "s3:PutObject",        "s3:DeleteObject",
                                               "s3:PutObjectAcl", "s3:GetObjectVersion", "s3:DeleteObjectVersion"};
  return all;
}

const std::vector<std::string>& read_actions() {
  static const std::vector<std::string> all = {"s3:GetObject", "s3:GetObjectVersion"};
  return all;
}

PolicyRules::PolicyRules(const World& world, const Asker& asker)
    : world_(world),
      keys_(world.keys()),
      name_(type_of(asker) == "User" ? asker.who : ""),
      of_account_(type_of(asker) == "Account") {
  const std::string arn = arn_of(world, asker), type = type_of(asker);
  const bool user = type == "User", role = type == "AssumedRole";
  case_["account"] = world.account;
  case_["principal"] = {{"type", word_of(type)},
                        {"name", user || role ? json(asker.who) : json()},
                        {"arn", arn.empty() ? json() : json(arn)}};
  json documents = json::array();
  if (asker.who == "alice" && !world.alices.is_null()) documents.push_back(world.alices);
  if (asker.who == "bob" && !world.bobs.is_null()) documents.push_back(world.bobs);
  if (role && !world.keepers.is_null()) documents.push_back(world.keepers);
  // "Root and roles are in no group."
  if (type != "Account" && !role && asker.has_group(kDevGid) && !world.dev.is_null()) documents.push_back(world.dev);
  case_["identity_policies"] = documents;
  case_["boundary"] = asker.who == "alice" ? world.alices_boundary : json();
  case_["bucket_policy"] = world.bucket_policy;
  json& context = case_["request"]["context"];
  context["aws:PrincipalType"] = {type};
  if (type != "Anonymous") {
    context["aws:PrincipalArn"] = {role ? "arn:aws:iam::" + world.account + ":role/keeper" : arn};
    context["aws:PrincipalAccount"] = {world.account};
  }
  if (user) {
    context["aws:username"] = {asker.who};
    context["aws:userid"] = {std::to_string(asker.uid)};
  }
  if (role) context["aws:userid"] = {std::string("keeper:") + kSessionName};
  context["aws:SecureTransport"] = {"true"};
  context["aws:SourceIp"] = {"127.0.0.1"};
  context["pail:uid"] = {std::to_string(asker.uid)};
  context["pail:gid"] = {std::to_string(asker.gid)};
  context["pail:door"] = {"fuse"};
  undenied_ = case_;
  undenied_["boundary"] = nullptr;
  for (json& document : undenied_["identity_policies"]) anything_allowed_ |= take_denials(document);
  anything_allowed_ |= take_denials(undenied_["bucket_policy"]);
}

Word PolicyRules::ask(json& one_case, std::map<std::string, Word>& asked, const std::string& action,
                      const std::string& resource, const std::string* prefix) {
  if (!world_.has_policies()) return Word::kSilent;
  const auto [found, made] =
      asked.try_emplace(action + "|" + resource + (prefix != nullptr ? "|" + *prefix : ""), Word::kSilent);
  if (!made) return found->second;
  json& request = one_case["request"];
  request["action"] = action;
  request["resource"] = resource;
  request["context"].erase("s3:prefix");
  request["context"].erase("s3:delimiter");
  if (prefix != nullptr) {
    request["context"]["s3:prefix"] = {*prefix};
    request["context"]["s3:delimiter"] = {"/"};
  }
  const std::string said = reference_statements(one_case);
  found->second = said == "Allow" ? Word::kAllowed : said == "ExplicitDeny" ? Word::kDenied : Word::kSilent;
  return found->second;
}

Word PolicyRules::ask(const std::string& action, const std::string& resource, const std::string* prefix) {
  return ask(case_, asked_, action, resource, prefix);
}

std::string PolicyRules::arn_of_key(const std::string& key) const {
  const std::string bucket = "arn:aws:s3:::" + world_.bucket;
  return key.empty() ? bucket : bucket + "/" + key;
}

Word PolicyRules::of_key(const std::string& action, const std::string& key) {
  return ask(action, arn_of_key(key), nullptr);
}

Word PolicyRules::of_keys(const std::string& action, const std::vector<std::string>& keys) {
  Word out = Word::kSilent;
  for (const std::string& key : keys) {
    const Word one = of_key(action, key);
    if (one == Word::kDenied) return one;
    if (one == Word::kAllowed) out = one;
  }
  return out;
}

Word PolicyRules::of_thing(const std::string& action, size_t thing) {
  std::vector<std::string> keys;
  for (const auto& [key, stands_for] : keys_) {
    if (stands_for == thing) keys.push_back(key);
  }
  return of_keys(action, keys);
}

Word PolicyRules::of_listing(const std::string& action, const std::string& prefix) {
  return ask(action, "arn:aws:s3:::" + world_.bucket, &prefix);
}

bool PolicyRules::any_use(const std::string& key, const std::vector<std::string>& uses) {
  if (!world_.has_policies() || (!anything_allowed_ && !of_account_)) return false;
  for (const std::string& action : uses) {
    const Word word = of_key(action, key);
    if (word == Word::kAllowed || (of_account_ && word == Word::kSilent)) return true;
  }
  return false;
}

// Enough of the keys below that something may be said of: what is there, and for each pattern what it stands for below
// the directory, below what is there, and below what other patterns begin with.
std::vector<std::string> PolicyRules::keys_below(const std::string& key) const {
  const std::string below = key.empty() ? "" : key + "/", bucket = arn_of_key("") + "/";
  std::vector<std::string> patterns;
  for (const json* document :
       {&world_.keepers, &world_.bucket_policy, &world_.alices, &world_.bobs, &world_.dev, &world_.alices_boundary}) {
    if (document->is_null()) continue;
    for (const json& statement : (*document)["Statement"]) {
      for (const std::string pattern :
           statement.contains("Resource") ? statement["Resource"] : statement["NotResource"]) {
        if (!pattern.starts_with(bucket)) continue;
        patterns.push_back(replaced(pattern.substr(bucket.size()), "${aws:username}", name_));
      }
    }
  }
  std::set<std::string> beginnings{below}, candidates{below + "z", below + "z/z"};
  for (const auto& [there, thing] : keys_) {
    candidates.insert(there);
    if (world_.things[thing].kind == Kind::kDirectory) beginnings.insert(there + "/");
  }
  for (const std::string& pattern : patterns) beginnings.insert(pattern.substr(0, pattern.find_first_of("*?")));
  for (const std::string& beginning : beginnings) {
    if (!beginning.starts_with(below)) continue;
    for (const std::string& pattern : patterns) spell_out(pattern, 0, beginning, 0, candidates);
  }
  std::vector<std::string> out;
  for (const std::string& one : candidates) {
    if (one.size() > below.size() && one.starts_with(below)) out.push_back(one);
  }
  return out;
}

bool PolicyRules::any_use_below(const std::string& key, const std::vector<std::string>& uses) {
  if (!world_.has_policies() || (!anything_allowed_ && !of_account_)) return false;
  const std::vector<std::string> keys = keys_below(key);
  return std::ranges::any_of(keys, [&](const std::string& one) { return any_use(one, uses); });
}

bool PolicyRules::perhaps_use_below(const std::string& key, const std::vector<std::string>& uses) {
  if (!anything_allowed_) return false;
  for (const std::string& one : keys_below(key)) {
    for (const std::string& action : uses) {
      if (ask(undenied_, undenied_asked_, action, arn_of_key(one), nullptr) == Word::kAllowed) return true;
    }
  }
  return false;
}

}  // namespace pailfs::test
