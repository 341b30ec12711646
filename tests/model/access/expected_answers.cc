#include "expected_answers.h"

#include <algorithm>

namespace pailfs::test {
namespace {

constexpr uint32_t kSetIds = 06000;

bool makes_a_name(Operation operation) {
  return operation == Operation::kCreate || operation == Operation::kMakeDirectory || operation == Operation::kSymlink;
}

// These calls look the name up themselves.
bool takes_a_name(Operation operation) {
  return operation == Operation::kUnlink || operation == Operation::kRemoveDirectory ||
         operation == Operation::kRename || operation == Operation::kExchange || operation == Operation::kLookup;
}

}  // namespace

const char* outcome_name(Outcome outcome) {
  static const char* const kNames[] = {"ok", "EACCES", "ENOENT", "EPERM", "EXDEV", "another error"};
  return kNames[static_cast<size_t>(outcome)];
}

bool Answer::lists(const std::set<std::string>& told) const {
  std::set<std::string> most = names;
  most.insert(perhaps.begin(), perhaps.end());
  return std::ranges::includes(told, names) && std::ranges::includes(most, told);
}

Answer then(const Answer& first, const Answer& next) {
  if (!first.may_pass()) return first;
  Answer out = next;
  for (const Outcome one : first.accepted) {
    if (one != Outcome::kOk) out.accepted.insert(one);
  }
  return out;
}

Answer all_of(const std::vector<Answer>& needed) {
  Answer out;
  bool refused = false, may_pass = true;
  for (const Answer& one : needed) {
    out.accepted.insert(one.accepted.begin(), one.accepted.end());
    out.may_be_copied |= one.may_be_copied;
    may_pass = may_pass && one.may_pass();
    // Who refuses decides; where nobody does, who allows.
    if (!one.may_pass() && !refused) out.by_policy = false;
    refused = refused || !one.may_pass();
    if (one.may_pass() != refused) out.by_policy |= one.by_policy;
  }
  if (!may_pass) out.accepted.erase(Outcome::kOk);
  return out;
}

Answer ExpectedAnswers::decide(Word word, Verdict posix) const {
  if (word == Word::kDenied) return Answer::denied(true);
  if (word == Word::kAllowed) return Answer::allowed(true);
  if (posix == Verdict::kOk) return Answer::allowed();
  if (posix == Verdict::kNotPermitted) return {.accepted = {Outcome::kNotPermitted}};
  return Answer::denied();
}

Answer ExpectedAnswers::walk(const std::vector<std::string>& names, bool resolved, Place& at) {
  Answer out = Answer::allowed();
  for (const std::string& name : names) {
    if (resolved) out = then(out, look_up(at, name));
    if (!out.may_pass()) break;
    at = {thing(at).names.at(name), joined(at.key, name)};
  }
  return out;
}

Answer ExpectedAnswers::answer(const Question& question) {
  Place directory;
  const Answer path = walk(question.directory, question.resolved, directory);
  if (!path.may_pass()) return path;
  if (question.name.empty()) return then(path, call(question, directory, directory));
  if (question.operation == Operation::kReadVersion || question.operation == Operation::kRemoveVersion)
    return then(path, use_version(directory, question));
  if (makes_a_name(question.operation)) return then(path, add(directory, question.name));
  const bool looks_up = question.resolved || takes_a_name(question.operation);
  const Answer found = then(path, looks_up ? look_up(directory, question.name) : Answer::allowed());
  if (question.operation == Operation::kLookup || !found.may_pass()) return found;
  const Place target{thing(directory).names.at(question.name), joined(directory.key, question.name)};
  return then(found, call(question, directory, target));
}

Answer ExpectedAnswers::call(const Question& question, const Place& directory, const Place& target) {
  const Rights& rights = thing(target).rights;
  switch (question.operation) {
    case Operation::kList:
      return list(target);
    case Operation::kRead:
      return open(target, kR);
    case Operation::kWrite:
    case Operation::kTruncate:
      return open(target, kW);
    case Operation::kReadWrite:
      return open(target, kR | kW);
    case Operation::kExecute:
      return execute(target);
    case Operation::kAccess:
      return access(target, question.mode);
    case Operation::kGetXattr:
      return get_attribute(target);
    case Operation::kSetXattr:
    case Operation::kRemoveXattr:
      return set_attribute(target);
    case Operation::kUnlink:
    case Operation::kRemoveDirectory:
      return remove(directory, target);
    case Operation::kRename:
      return rename(question, directory, target);
    case Operation::kExchange:
      return exchange(question, directory, target);
    case Operation::kLink:
      return link(question, target);
    case Operation::kChmod:
      return change_mode(target, question.mode);
    case Operation::kSetAcl:
    case Operation::kSetDefaultAcl:
      return change_acl(target);
    case Operation::kChown:
      return change_owner(target, posix_.chown(asker_, rights, question.uid));
    case Operation::kChgrp:
      return change_owner(target, posix_.chgrp(asker_, rights, question.gid));
    case Operation::kTouch:
      return change_times(target, posix_.touch(asker_, thing(target)));
    case Operation::kSetTimes:
      return change_times(target, posix_.set_times(asker_, thing(target)));
    default:
      return Answer::allowed();  // who can look a name up reads links and ACLs
  }
}

Answer ExpectedAnswers::open(const Place& file, uint32_t bits) {
  const Word read = (bits & kR) != 0 ? policies_.of_thing("s3:GetObject", file.thing) : Word::kAllowed;
  const Word write = (bits & kW) != 0 ? policies_.of_thing("s3:PutObject", file.thing) : Word::kAllowed;
  if (read == Word::kDenied || write == Word::kDenied) return Answer::denied(true);
  const uint32_t left = (read == Word::kSilent ? kR : 0) | (write == Word::kSilent ? kW : 0);
  if (left == 0) return Answer::allowed(true);
  // "To read and write at once, one of these has to have both, or what a policy does not allow of it."
  return decide(Word::kSilent, verdict(posix_.may(asker_, thing(file).rights, thing(file).kind, left)));
}

// "A policy lets nobody [...] run these [others' set-ID files], or run what has no x bit."
Answer ExpectedAnswers::execute(const Place& file) {
  const Rights& rights = thing(file).rights;
  const Word word = policies_.of_thing("s3:GetObject", file.thing);
  const bool set_id = (rights.mode & kSetIds) != 0, runs = posix_.has_x_bit(rights);
  const bool by_mode = word == Word::kAllowed && (set_id || !runs);
  Answer out = decide(by_mode ? Word::kSilent : word, verdict(posix_.may(asker_, rights, thing(file).kind, kX)));
  // Of his own it is not said.
  if (by_mode && runs && rights.uid == asker_.uid) out.accepted.insert(Outcome::kOk);
  return out;
}

Answer ExpectedAnswers::access(const Place& file, uint32_t bits) {
  if (bits == 0) return Answer::allowed();
  std::vector<Answer> needed;
  if ((bits & (kR | kW)) != 0) needed.push_back(open(file, bits & (kR | kW)));
  if ((bits & kX) != 0) needed.push_back(execute(file));
  Answer out = all_of(needed);
  // acl(5): one entry has to have all of them. What a policy allows is not asked of it; of x that is not said.
  if (out.may_pass() && !posix_.may(asker_, thing(file).rights, thing(file).kind, bits)) {
    const bool speaks = policies_.of_thing("s3:GetObject", file.thing) == Word::kAllowed ||
                        policies_.of_thing("s3:PutObject", file.thing) == Word::kAllowed;
    if (!speaks) return Answer::denied();
    if ((bits & kX) != 0 || !out.passes()) out.accepted.insert(Outcome::kAccessDenied);
  }
  return out;
}

// That of the bucket itself is another action.
Word ExpectedAnswers::of_acl(const Place& target) {
  if (target.key.empty()) return policies_.of_key("s3:PutBucketAcl", "");
  return policies_.of_thing("s3:PutObjectAcl", target.thing);
}

// "A policy lets nobody [...] change mode or ACL of others' set-ID files", nor make such of them.
Answer ExpectedAnswers::change_mode(const Place& target, uint32_t mode) {
  const Thing& one = thing(target);
  const Word word = of_acl(target);
  const bool set_id = one.kind == Kind::kFile && ((one.rights.mode | mode) & kSetIds) != 0;
  Answer out = decide(word == Word::kAllowed && set_id ? Word::kSilent : word, posix_.change_mode(asker_, one.rights));
  if (!set_id || word == Word::kDenied) return out;
  // Whether it lets take these bits away is not said.
  if (word == Word::kAllowed && (mode & kSetIds) == 0) out.accepted.insert(Outcome::kOk);
  // Neither is whether the bucket owner may make set-ID files of others' files.
  if (is_bucket_owner() && one.rights.uid != kOwnerUid) out.accepted = {Outcome::kOk, Outcome::kNotPermitted};
  return out;
}

Answer ExpectedAnswers::change_acl(const Place& target) {
  const Thing& one = thing(target);
  const Word word = of_acl(target);
  const bool set_id = one.kind == Kind::kFile && (one.rights.mode & kSetIds) != 0;
  Answer out = decide(word == Word::kAllowed && set_id ? Word::kSilent : word, posix_.change_mode(asker_, one.rights));
  // As above.
  const bool others = is_bucket_owner() && one.rights.uid != kOwnerUid;
  if (set_id && others && word != Word::kDenied) out.accepted = {Outcome::kOk, Outcome::kNotPermitted};
  return out;
}

// "A policy lets nobody give files away."
Answer ExpectedAnswers::change_owner(const Place& target, Verdict posix) {
  const Word word = of_acl(target);
  return decide(word == Word::kAllowed ? Word::kSilent : word, posix);
}

Answer ExpectedAnswers::change_times(const Place& target, Verdict posix) {
  const Word word = of_acl(target);
  Answer out = decide(word, posix);
  // Without ACLs the owner changes modes; whether times too is not said.
  const bool his = posix_.acls_off() && asker_.uid == thing(target).rights.uid;
  if (his && word != Word::kDenied) out.accepted.insert(Outcome::kOk);
  return out;
}

Answer ExpectedAnswers::get_attribute(const Place& target) {
  Answer out = open(target, kR);
  const bool others_directory = thing(target).kind == Kind::kDirectory && thing(target).rights.uid != asker_.uid;
  // "List, search and empty": whether the bucket owner reads the attributes of others' directories is not said.
  if (is_bucket_owner() && others_directory && !out.by_policy) out.accepted.insert(Outcome::kOk);
  return out;
}

// xattr(7): in a sticky directory only its owner may; which of two errors comes first it does not say.
Answer ExpectedAnswers::set_attribute(const Place& target) {
  const Thing& one = thing(target);
  const Answer written = open(target, kW);
  const bool sticky = one.kind == Kind::kDirectory && (one.rights.mode & 01000) != 0;
  if (!sticky || asker_.uid == 0 || asker_.uid == one.rights.uid) return written;
  Answer owned{.accepted = {Outcome::kNotPermitted}};
  // Whether that holds for whom a policy allows it, and where modes decide nothing, is not said either.
  if (written.by_policy || posix_.acls_off()) owned.accepted.insert(Outcome::kOk);
  return all_of({written, owned});
}

}  // namespace pailfs::test
