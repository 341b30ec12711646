// What a call must answer by pailfs-policy(7): what policies deny is denied, what they allow is allowed, and of what
// they do not speak modes and ACLs decide.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "policy_rules.h"
#include "posix_rules.h"
#include "world.h"

namespace pailfs::test {

enum class Outcome : uint8_t { kOk, kAccessDenied, kNotFound, kNotPermitted, kCrossDevice, kOther };
const char* outcome_name(Outcome outcome);

struct Answer {
  std::set<Outcome> accepted;       // several where the manual leaves it open, or does not say which error comes first
  bool by_policy = false;           // a statement decided, not the mode or ACL
  bool may_be_copied = false;       // a directory whose rename policies may refuse, so that it is copied
  std::set<std::string> names{};    // of a listing that is allowed
  std::set<std::string> perhaps{};  // what else may be in it

  bool passes() const { return accepted == std::set{Outcome::kOk}; }
  bool may_pass() const { return accepted.contains(Outcome::kOk); }
  bool lists(const std::set<std::string>& told) const;
  bool open_to_either() const { return may_pass() && accepted.size() > 1; }

  static Answer allowed(bool by_policy = false) { return {.accepted = {Outcome::kOk}, .by_policy = by_policy}; }
  static Answer denied(bool by_policy = false) {
    return {.accepted = {Outcome::kAccessDenied}, .by_policy = by_policy};
  }
};

// One step after another: the first that does not pass is the answer.
Answer then(const Answer& first, const Answer& next);
// All have to pass; which of several refusals is told nobody says.
Answer all_of(const std::vector<Answer>& needed);

class ExpectedAnswers {
 public:
  ExpectedAnswers(const World& world, const Asker& asker)
      : world_(world), asker_(asker), policies_(world, asker), posix_(world.ownership) {}

  Answer answer(const Question& question);

 private:
  // What the kernel reached, and by which name.
  struct Place {
    size_t thing = 0;
    std::string key;
  };

  // Follows names, with lookups or without, as far as they may lead.
  Answer walk(const std::vector<std::string>& names, bool resolved, Place& at);
  Answer call(const Question& question, const Place& directory, const Place& target);

  // expected_names.cc: names and directories.
  Answer look_up(const Place& directory, const std::string& name);
  bool seen_by_policy(const Place& directory, const std::string& name,
                      const std::vector<std::string>& uses = object_actions());
  Answer list(const Place& directory);
  Answer add(const Place& directory, const std::string& name);
  Answer remove(const Place& directory, const Place& victim);
  Answer rename(const Question& question, const Place& from, const Place& victim);
  Answer exchange(const Question& question, const Place& from, const Place& victim);
  Answer rename_directory(const Place& victim, const std::string& to);
  Answer link(const Question& question, const Place& file);
  Answer link_source(const Place& file);
  bool gains(const Place& file, const std::string& new_key, bool by_other_names_too = true);
  Answer use_version(const Place& directory, const Question& question);

  // expected_answers.cc: what an inode says.
  Answer open(const Place& file, uint32_t bits);
  Answer execute(const Place& file);
  Answer access(const Place& file, uint32_t bits);
  Answer change_mode(const Place& target, uint32_t mode);
  Answer change_acl(const Place& target);
  Answer change_owner(const Place& target, Verdict posix);
  Answer change_times(const Place& target, Verdict posix);
  Answer get_attribute(const Place& target);
  Answer set_attribute(const Place& target);

  Answer decide(Word word, Verdict posix) const;
  Word of_acl(const Place& target);
  Word of_listing(const Place& directory, const std::string& action = "s3:ListBucket");
  bool is_bucket_owner() const { return asker_.uid == kOwnerUid; }
  const Thing& thing(const Place& place) const { return world_.things[place.thing]; }

  const World& world_;
  const Asker asker_;
  PolicyRules policies_;
  PosixRules posix_;
};

inline Verdict verdict(bool allowed) { return allowed ? Verdict::kOk : Verdict::kAccessDenied; }

}  // namespace pailfs::test
