// Names: which are there for whom, and what makes, moves and removes them.
#include "expected_answers.h"

namespace pailfs::test {

Word ExpectedAnswers::of_listing(const Place& directory, const std::string& action) {
  return policies_.of_listing(action, directory.key.empty() ? "" : directory.key + "/");
}

// "To look a name up one has to be able to list its directory, or that prefix, or the name itself or with a slash as
// prefix; or to do anything with the key, or with some key below it."
bool ExpectedAnswers::seen_by_policy(const Place& directory, const std::string& name,
                                     const std::vector<std::string>& uses) {
  const std::string key = joined(directory.key, name);
  for (const std::string& prefix : {key, key + "/"}) {
    if (policies_.of_listing("s3:ListBucket", prefix) == Word::kAllowed) return true;
  }
  return policies_.any_use(key, uses) || policies_.any_use_below(key, uses);
}

Answer ExpectedAnswers::look_up(const Place& directory, const std::string& name) {
  const Thing& in = thing(directory);
  const Word listing = of_listing(directory);
  Answer out = Answer::allowed(listing == Word::kAllowed);
  if (listing == Word::kAllowed || (listing == Word::kSilent && posix_.may_search(asker_, in))) {
    // As whoever lists the directory sees it.
  } else if (seen_by_policy(directory, name)) {
    out.by_policy = true;
    // The account's root may use what is not denied: whether that leads him to it is not said.
    if (policies_.of_account()) {
      out.accepted.insert(listing == Word::kDenied ? Outcome::kNotFound : Outcome::kAccessDenied);
    }
  } else {
    out = Answer::denied();
    if (listing == Word::kDenied) out = {.accepted = {Outcome::kNotFound}, .by_policy = true};
    // What is allowed below is denied again, statement by statement: the core does not look so closely.
    if (!policies_.perhaps_use_below(joined(directory.key, name))) return out;
    out.accepted.insert(Outcome::kOk);
  }
  if (!in.names.contains(name)) {
    out.accepted.erase(Outcome::kOk);
    out.accepted.insert(Outcome::kNotFound);
  }
  return out;
}

Answer ExpectedAnswers::list(const Place& directory) {
  const Thing& in = thing(directory);
  Answer out = decide(of_listing(directory), verdict(posix_.may_list(asker_, in)));
  const bool all = out.passes();
  // "So who may only read a/b/c gets there, and a listing shows him nothing else on the way."
  if (!all && policies_.any_use_below(directory.key, read_actions())) {
    // The account's root may use what is not denied: whether he is shown that is not said.
    if (!policies_.of_account()) out = Answer::allowed(true);
    out.accepted.insert(Outcome::kOk);
  } else if (!all && policies_.perhaps_use_below(directory.key, read_actions())) {
    out.accepted.insert(Outcome::kOk);  // as above
  }
  for (const auto& [name, inside] : in.names) {
    if (all || seen_by_policy(directory, name, read_actions())) {
      out.names.insert(name);
    } else if (policies_.perhaps_use_below(joined(directory.key, name), read_actions())) {
      out.perhaps.insert(name);  // as above
    }
  }
  return out;
}

// "To create it is EACCES", where a name is not there for him.
Answer ExpectedAnswers::add(const Place& directory, const std::string& name) {
  const Answer found = look_up(directory, name);
  if (!found.may_pass() && !found.accepted.contains(Outcome::kNotFound)) return found;
  const Word word = policies_.of_key("s3:PutObject", joined(directory.key, name));
  Answer out = decide(word, verdict(posix_.may_add(asker_, thing(directory))));
  if (of_listing(directory) == Word::kDenied) {
    if (!seen_by_policy(directory, name)) {
      out.accepted.insert(Outcome::kAccessDenied);
      if (!policies_.perhaps_use_below(joined(directory.key, name))) return Answer::denied(true);
    }
    if (policies_.of_account()) out.accepted.insert(Outcome::kAccessDenied);
  }
  if (found.accepted.contains(Outcome::kAccessDenied)) out.accepted.insert(Outcome::kAccessDenied);
  return out;
}

// Of the name that goes: what else the file is called stays.
Answer ExpectedAnswers::remove(const Place& directory, const Place& victim) {
  return decide(policies_.of_key("s3:DeleteObject", victim.key),
                posix_.remove(asker_, thing(directory), thing(victim), false));
}

// "Renaming and linking give nobody more rights over what is in a file, and over its tags and the locks of its
// versions, than he had by the old name": by policies, or by mode and ACL where these say nothing.
bool ExpectedAnswers::gains(const Place& file, const std::string& new_key, bool by_other_names_too) {
  const Rights& rights = thing(file).rights;
  const Kind kind = thing(file).kind;
  const bool of_account = policies_.of_account();
  const std::vector<std::pair<const char*, bool>> held_by_mode = {
      {"s3:GetObject", posix_.may(asker_, rights, kind, kR)},
      {"s3:PutObject", posix_.may(asker_, rights, kind, kW)},
      {"s3:PutObjectAcl", posix_.change_mode(asker_, rights) == Verdict::kOk},
      {"s3:GetObjectVersion", posix_.may(asker_, rights, kind, kR)},
      {"s3:GetObjectTagging", posix_.may(asker_, rights, kind, kR)},
      {"s3:GetObjectVersionTagging", posix_.may(asker_, rights, kind, kR)},
      {"s3:PutObjectTagging", posix_.may(asker_, rights, kind, kW)},
      {"s3:DeleteObjectTagging", posix_.may(asker_, rights, kind, kW)},
      {"s3:DeleteObjectVersion", of_account},
      {"s3:PutObjectRetention", of_account},
      {"s3:PutObjectLegalHold", of_account},
      {"s3:BypassGovernanceRetention", of_account}};
  for (const auto& [action, by_mode] : held_by_mode) {
    const Word before =
        by_other_names_too ? policies_.of_thing(action, file.thing) : policies_.of_key(action, file.key);
    const Word after = policies_.of_key(action, new_key);
    if (before == Word::kDenied && after != Word::kDenied) return true;
    if (before == Word::kSilent && after == Word::kAllowed && !by_mode) return true;
  }
  return false;
}

// proc_sys_fs(5), protected_hardlinks: a file of somebody else gets another name from who may read and write it, and if
// it is no program that runs with its owner's rights.
Answer ExpectedAnswers::link_source(const Place& file) {
  const Rights& rights = thing(file).rights;
  if (asker_.uid == 0 || asker_.uid == rights.uid) return Answer::allowed();
  const bool privileged = (rights.mode & 04000) != 0 || (rights.mode & 02010) == 02010;
  Answer out = {.accepted = {Outcome::kNotPermitted}};
  if (privileged || !open(file, kW).may_pass()) return out;
  out.accepted.insert(Outcome::kOk);
  if (open(file, kR | kW).passes()) out.accepted.erase(Outcome::kNotPermitted);
  return out;
}

Answer ExpectedAnswers::link(const Question& question, const Place& file) {
  Place directory;
  const Answer path = walk(question.to, question.resolved, directory);
  if (!path.may_pass()) return path;
  Answer kept = Answer::allowed();
  if (gains(file, joined(directory.key, question.new_name))) kept = Answer::denied(true);
  // Whether who may not read a file may give it another name is not said.
  if (policies_.of_thing("s3:GetObject", file.thing) == Word::kDenied) kept.accepted.insert(Outcome::kAccessDenied);
  return then(path, all_of({add(directory, question.new_name), link_source(file), kept}));
}

Answer ExpectedAnswers::rename(const Question& question, const Place& from, const Place& victim) {
  Place directory;
  const Answer path = walk(question.to, question.resolved, directory);
  if (!path.may_pass()) return path;
  const Thing& moved = thing(victim);
  const std::string to = joined(directory.key, question.new_name);
  std::vector<Answer> needed{remove(from, victim)};
  const auto replaced = thing(directory).names.find(question.new_name);
  if (replaced == thing(directory).names.end() || !look_up(directory, question.new_name).may_pass()) {
    needed.push_back(add(directory, question.new_name));
  } else {
    needed.push_back(decide(policies_.of_key("s3:PutObject", to),
                            posix_.remove(asker_, thing(directory), world_.things[replaced->second], true)));
  }
  if (moved.kind == Kind::kDirectory) {
    // rename(2): one that gets another parent is written to, as its ".." is.
    if (from.thing != directory.thing) needed.push_back(open(victim, kW));
    needed.push_back(rename_directory(victim, to));
  } else if (gains(victim, to)) {
    needed.push_back({.accepted = {Outcome::kCrossDevice}, .by_policy = true});
  }
  return then(path, all_of(needed));
}

// renameat2(2), RENAME_EXCHANGE, of two files: each takes the other's name.
Answer ExpectedAnswers::exchange(const Question& question, const Place& from, const Place& victim) {
  Place directory;
  const Answer path = walk(question.to, question.resolved, directory);
  if (!path.may_pass()) return path;
  const Place other{thing(directory).names.at(question.new_name), joined(directory.key, question.new_name)};
  const auto put_over = [&](const Place& in, const Place& there) {
    return decide(policies_.of_key("s3:PutObject", there.key), posix_.remove(asker_, thing(in), thing(there), true));
  };
  Answer found = look_up(directory, question.new_name);
  // Where it is not there for him: as when it is made.
  if (!found.passes()) found.accepted.insert(Outcome::kAccessDenied);
  std::vector<Answer> needed{found, remove(from, victim), remove(directory, other), put_over(directory, other),
                             put_over(from, victim)};
  if (gains(victim, other.key) || gains(other, victim.key)) {
    needed.push_back({.accepted = {Outcome::kCrossDevice}, .by_policy = true});
  }
  return then(path, all_of(needed));
}

// "A directory is renamed in one step where the policy decides alike for everything below the old name and below the
// new one, and denies no listing by prefix; otherwise that is EXDEV too." What might come to be below counts as well,
// which nobody can try out: at least what is there must give no rights that it did not give.
Answer ExpectedAnswers::rename_directory(const Place& victim, const std::string& to) {
  Answer out = Answer::allowed();
  if (!world_.has_policies()) return out;
  out.may_be_copied = true;
  out.accepted.insert({Outcome::kCrossDevice, Outcome::kAccessDenied});
  const std::string below = victim.key + "/";
  for (const auto& [key, there] : world_.keys()) {
    if (!key.starts_with(below)) continue;
    if (gains({there, key}, to + key.substr(victim.key.size()), false)) out.accepted.erase(Outcome::kOk);
  }
  return out;
}

// ".versions" is a name in the directory, and what is in there has to be listed with another action.
Answer ExpectedAnswers::use_version(const Place& directory, const Question& question) {
  const Place file{thing(directory).names.at(question.name), joined(directory.key, question.name)};
  const auto listing = [&](const std::string& prefix) { return policies_.of_listing("s3:ListBucketVersions", prefix); };
  const bool searched = posix_.may_search(asker_, thing(directory));
  const auto reached = [&](Word word, bool partly) {
    if (word == Word::kAllowed || (word == Word::kSilent && searched)) return Answer::allowed(word == Word::kAllowed);
    Answer out{.accepted = {Outcome::kAccessDenied, Outcome::kNotFound}, .by_policy = word == Word::kDenied};
    // Whether who may not list the directory gets to one version that he may use is not said.
    if (partly) out.accepted.insert(Outcome::kOk);
    return out;
  };
  const bool used = policies_.any_use(file.key) || policies_.any_use_below(directory.key);
  const bool listed = listing(file.key) == Word::kAllowed || listing(file.key + "/") == Word::kAllowed;
  const Answer entered = reached(of_listing(directory), used || seen_by_policy(directory, ".versions"));
  const Answer found = reached(of_listing(directory, "s3:ListBucketVersions"), used || listed);
  // "Removing a version with rm is for the owner of the store and root."
  const bool removes = question.operation == Operation::kRemoveVersion;
  const bool by_mode = removes ? policies_.of_account() : posix_.may(asker_, *thing(file).older, Kind::kFile, kR);
  const Word word = policies_.of_thing(removes ? "s3:DeleteObjectVersion" : "s3:GetObjectVersion", file.thing);
  return then(entered, then(found, decide(word, verdict(by_mode))));
}

}  // namespace pailfs::test
