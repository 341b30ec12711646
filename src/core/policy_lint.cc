// Each file is asked about for each user that the policy names, and for somebody without a login: what the policy
// decides, by which statement, and what the mode or ACL would. They disagree where the policy allows what the ACL
// denies him, and where it denies what the mode allows to all others. Conditions are decided as for a request that
// comes now, from a program that is not known.
#include "core/policy_lint.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "core/groups.h"
#include "core/impl.h"
#include "core/object_keys.h"
#include "core/request_facts.h"
#include "core/scan.h"
#include "core/verify.h"
#include "io/users.h"
#include "policy/evaluate.h"
#include "policy/findings.h"

namespace pailfs {

namespace {

constexpr uint32_t kSomebody = 0xfffffffe;  // a uid and gid that owns nothing

// Who is asked about.
struct Subject {
  std::string words;  // "user alice", "everybody"
  uint32_t uid = 0;
  uint32_t gid = 0;
  GroupList groups;
  PrincipalPtr principal;
  RequestFacts facts;
};

struct Right {
  Action action;
  Need need;
  uint32_t bit;
  std::string_view word;
};
constexpr std::array kRights{Right{Action::kGetObject, Need::kRead, 4, "read"},
                             Right{Action::kPutObject, Need::kWrite, 2, "write"}};

class LintSearch {
 public:
  LintSearch(Core::Impl& core, Scope bucket, std::string name, StoredPolicyPtr policy, PolicyLint& out)
      : core_(core),
        bucket_(bucket),
        name_(std::move(name)),
        policy_(std::move(policy)),
        out_(out),
        modes_(core.gate.account()),
        now_(core.now()) {
    modes_.set_public_access(&core.public_access);
    modes_.set_acl_facts(&core.acl_facts);
  }

  Status look_at_policy() {
    for (const policy::Finding& finding : policy::find_doubtful(*policy_->document, policy_->text, name_)) {
      out_.findings.push_back({finding.place.line, finding.place.column, finding.message, 0, {}});
    }
    PAILFS_TRY(look_at_principals());
    sort();
    return {};
  }

  // After look_at_policy().
  Status look_at_files(const Progress& progress) {
    PAILFS_TRY(look_through(progress));
    for (auto& [what, finding] : disagreements_) out_.findings.push_back(std::move(finding));
    sort();
    return {};
  }

 private:
  void sort() {
    std::ranges::stable_sort(out_.findings, {}, [](const auto& one) { return std::pair(one.line, one.column); });
  }

  Status look_at_principals() {
    const std::string& account = core_.principals.account_id();
    bool everybody = false;
    std::map<std::string, bool, std::less<>> seen;
    for (const policy::Statement& statement : policy_->document->statements()) {
      if (!statement.principal) continue;
      const auto doubt = [&](std::string message) {
        const policy::Place place = policy::place_of(policy_->text, statement.principal->offset());
        out_.findings.push_back({place.line, place.column, std::move(message), 0, {}});
      };
      everybody = everybody || statement.principal->negated();
      for (const policy::PrincipalEntry& entry : statement.principal->entries()) {
        everybody = everybody || entry.is_everybody() || entry.is_account();
        if (!entry.account().empty() && entry.account() != account) {
          doubt(fmt::format("nobody is of account {}: that of this store is {}", entry.account(), account));
          continue;
        }
        const std::string name(entry.user());
        if (name.empty()) continue;
        if (!seen.contains(name)) {
          PAILFS_ASSIGN(seen[name], add_user(name));
        }
        if (!seen[name]) doubt(fmt::format("no user of this machine has the login name {}", printable(name)));
      }
    }
    if (everybody) add_subject("everybody", {{}, kSomebody, kSomebody, {}});
    return {};
  }

  Result<bool> add_user(const std::string& name) {
    PAILFS_ASSIGN(auto user, system_account(name));
    const IdentityPtr mapped = core_.identities.directory()->find(IdentityKind::kUser, name);
    if (mapped != nullptr && !mapped->numbers.empty()) {
      const uint32_t uid = mapped->numbers.front();
      PAILFS_ASSIGN(user, system_account(uid));
      if (!user) user = SystemAccount{name, uid, uid, {}};
    }
    if (!user) return false;
    add_subject("user " + printable(name), *user);
    return true;
  }

  void add_subject(std::string words, const SystemAccount& user) {
    GroupList groups(user.groups);
    const Caller caller{user.uid, user.gid, 0, 0, Door::kFuse, &groups};
    PrincipalPtr principal = core_.principals.of(caller, core_.store.env().monotonic(), true);
    // Root's rights are not the mode's.
    if (principal == nullptr || principal->caller.type() == policy::PrincipalType::kRoot) return;
    RequestFacts facts(principal.get(), core_.principals.account_id(), user.uid, user.gid, Door::kFuse);
    facts.set_time(now_);
    subjects_.push_back(std::make_unique<Subject>(
        Subject{std::move(words), user.uid, user.gid, std::move(groups), std::move(principal), std::move(facts)}));
  }

  Status look_through(const Progress& progress) {
    if (subjects_.empty()) return {};
    const auto look = [&](const StoreView::Entry& entry) -> Result<bool> {
      PAILFS_ASSIGN(const InodeRecord record, decode_inode(entry.value));
      if (record.nlink == 0 || !S_ISREG(record.mode)) return true;
      if (out_.files == PolicyLint::kFiles) {
        out_.all_files = false;
        return false;
      }
      ++out_.files;
      if (out_.files % 256 == 0 && progress && !progress(out_.files, 0)) return fail(Code::kInterrupted, "interrupted");
      const Ino ino = ino_of_key(entry.key);
      PAILFS_ASSIGN(const auto object_keys, core_.keys->keys_of(ino));
      const Attributes attributes = Core::Impl::attributes(ino, record);
      for (const std::string& key : object_keys) look_at(attributes, key);
      return true;
    };
    PAILFS_TRY(scan_range(core_.store, bucket_, kind_begin('i', bucket_), kind_end('i', bucket_), look));
    if (progress) progress(out_.files, out_.files);
    return {};
  }

  void look_at(const Attributes& object, const std::string& key) {
    const std::string resource = fmt::format("arn:aws:s3:::{}/{}", name_, key);
    for (const auto& subject : subjects_) {
      for (const Right& right : kRights) {
        const policy::Decision decision = decide(*subject, right, resource);
        if (decision.ground != policy::Ground::kStatement) continue;
        const Caller caller{subject->uid, subject->gid, 0, 0, Door::kFuse, &subject->groups};
        if (decision.outcome == policy::Outcome::kAllow) {
          if (modes_.check({caller, right.action, right.need, object})) continue;
          disagree(decision.statement,
                   fmt::format("allows {} to {} what modes and ACLs do not", subject->words, right.word), key);
        } else if ((object.mode & right.bit) != 0 && modes_.check({caller, right.action, right.need, object})) {
          disagree(decision.statement,
                   fmt::format("denies {} to {} what modes allow to all others", subject->words, right.word), key);
        }
      }
    }
  }

  policy::Decision decide(const Subject& subject, const Right& right, const std::string& resource) const {
    policy::Context context;
    subject.facts.add_to(context);
    if (right.action == Action::kPutObject) {
      context.add("s3:x-amz-server-side-encryption", "AES256");
      context.add("s3:x-amz-storage-class", "STANDARD");
    }
    policy::Policies policies;
    policies.bucket = policy_->document.get();
    return policy::evaluate(policies, {subject.principal->caller, core_.principals.account_id(),
                                       action_name(right.action), resource, context});
  }

  void disagree(size_t statement, std::string message, const std::string& key) {
    PolicyLint::Finding& finding = disagreements_[{statement, message}];
    if (finding.message.empty()) {
      const policy::Place place = policy::place_of(policy_->text, policy_->document->statements()[statement].offset);
      finding.line = place.line;
      finding.column = place.column;
      finding.message = std::move(message);
    }
    ++finding.files;
    if (finding.paths.size() < PolicyLint::kPaths) finding.paths.push_back(key);
  }

  Core::Impl& core_;
  const Scope bucket_;
  const std::string name_;
  const StoredPolicyPtr policy_;
  PolicyLint& out_;
  Gate modes_;  // without policies
  const Time now_;
  std::vector<std::unique_ptr<Subject>> subjects_;
  std::map<std::pair<size_t, std::string>, PolicyLint::Finding> disagreements_;
};

}  // namespace

namespace {

// Of a policy that the caller may read. nullptr: there is none.
Result<StoredPolicyPtr> readable_policy(Core& core, Core::Impl& impl, const Caller& caller,
                                        const BucketRecord& record) {
  const auto readable = core.bucket_policy(caller, record.name);
  if (!readable && readable.error().code != Code::kNoData) return std::unexpected(readable.error());
  StoredPolicyPtr policy = impl.policies.of(record.number);
  if (policy != nullptr && policy->document == nullptr) {
    return fail(Code::kCorrupt,
                fmt::format("the policy of bucket {} cannot be read: 'pail policy put' replaces it", record.name));
  }
  return policy;
}

}  // namespace

Result<PolicyLint> Core::lint_bucket_policy(const Caller& caller, std::string_view bucket, const Progress& progress) {
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_by_name(caller, bucket));
  PAILFS_ASSIGN(const StoredPolicyPtr policy, readable_policy(*this, *impl_, caller, record));
  // It reads through the whole bucket, and names what is in it.
  PAILFS_TRY(impl_->gate.check(
      {caller, Action::kListBucketVersions, Need::kAccount, Attributes{.ino = bucket_root(record.number)}}));
  PolicyLint out;
  out.has_policy = policy != nullptr;
  if (policy == nullptr) return out;
  LintSearch search(*impl_, record.number, record.name, policy, out);
  PAILFS_TRY(search.look_at_policy());
  PAILFS_TRY(search.look_at_files(progress));
  return out;
}

Result<PolicyLint> Core::lint_bucket_policy_alone(const Caller& caller, std::string_view bucket) {
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_by_name(caller, bucket));
  PAILFS_ASSIGN(const StoredPolicyPtr policy, readable_policy(*this, *impl_, caller, record));
  PolicyLint out;
  out.has_policy = policy != nullptr;
  if (policy != nullptr) PAILFS_TRY(LintSearch(*impl_, record.number, record.name, policy, out).look_at_policy());
  return out;
}

}  // namespace pailfs
