// What the policies of a world say of a request, by the reference of model_policy; and what pailfs-policy(7) makes of
// that for names: which may be looked up, and which are not there for somebody.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "world.h"

namespace pailfs::test {

enum class Word : uint8_t { kDenied, kSilent, kAllowed };

// The actions on objects that calls on a mount are.
const std::vector<std::string>& object_actions();
// Those that show a name in a listing: "What he may only write or delete he finds by its name, and a listing does not
// show it."
const std::vector<std::string>& read_actions();

class PolicyRules {
 public:
  PolicyRules(const World& world, const Asker& asker);

  // Of the object with this key; of the bucket itself where it is empty.
  Word of_key(const std::string& action, const std::string& key);
  // Of what has all of these keys.
  Word of_keys(const std::string& action, const std::vector<std::string>& keys);
  Word of_thing(const std::string& action, size_t thing);
  // s3:ListBucket or s3:ListBucketVersions with that prefix.
  Word of_listing(const std::string& action, const std::string& prefix);
  bool of_account() const { return of_account_; }
  // Whether anything may be done with what is below the directory with this key, and with the key itself.
  bool any_use_below(const std::string& key, const std::vector<std::string>& uses = object_actions());
  // The same if nothing were denied and there were no boundary.
  bool perhaps_use_below(const std::string& key, const std::vector<std::string>& uses = object_actions());
  bool any_use(const std::string& key, const std::vector<std::string>& uses = object_actions());

 private:
  std::string arn_of_key(const std::string& key) const;
  Word ask(const std::string& action, const std::string& resource, const std::string* prefix);
  Word ask(nlohmann::json& one_case, std::map<std::string, Word>& asked, const std::string& action,
           const std::string& resource, const std::string* prefix);
  std::vector<std::string> keys_below(const std::string& key) const;

  const World& world_;
  const std::map<std::string, size_t> keys_;
  const std::string name_;
  // The root of the account may do what nothing denies.
  const bool of_account_;
  nlohmann::json case_, undenied_;
  bool anything_allowed_ = false;  // by some statement that may be about him
  std::map<std::string, Word> asked_, undenied_asked_;
};

}  // namespace pailfs::test
