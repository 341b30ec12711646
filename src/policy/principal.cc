#include "policy/principal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/arn.h"
#include "policy/letters.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

// What stands behind the last slash: "user/team/alice" has the path /team/.
std::string_view without_path(std::string_view resource) { return resource.substr(resource.rfind('/') + 1); }

bool is_service_name(std::string_view text) {
  return text.contains('.') && !text.starts_with('.') && !text.ends_with('.') &&
         std::ranges::all_of(text, [](char c) { return is_letter_or_digit(c) || std::string_view(".-_").contains(c); });
}

}  // namespace

Result<Caller> Caller::make(PrincipalType type, std::string_view name, std::string_view arn) {
  Caller out;
  out.type_ = type;
  out.name_ = name;
  out.arn_ = arn;
  if (type == PrincipalType::kAnonymous) return out;
  if (type == PrincipalType::kService) {
    if (name.empty()) out.name_ = arn;
    if (out.name_.empty()) return fail(Code::kInvalid, "a service needs its name");
    return out;
  }
  const auto parts = split_arn(arn);
  if (!parts || !is_account_id((*parts)[4])) {
    return fail(Code::kInvalid, fmt::format("{} is not the ARN of a principal of an account", in_quotes(arn)));
  }
  const std::string_view service = (*parts)[2], resource = (*parts)[5];
  out.account_ = (*parts)[4];
  const auto is = [&](std::string_view of_service, std::string_view prefix) {
    return service == of_service && resource.starts_with(prefix) && resource.size() > prefix.size();
  };
  bool fits = false;
  if (type == PrincipalType::kRoot) {
    fits = service == "iam" && resource == "root";
  } else if (type == PrincipalType::kUser) {
    fits = is("iam", "user/");
    if (is("sts", "federated-user/")) {
      fits = true;
      out.session_ = Session::kFederatedUser;
      out.session_of_ = without_path(resource);
    }
  } else {
    fits = is("iam", "role/");
    constexpr std::string_view kAssumed = "assumed-role/";
    if (is("sts", kAssumed)) {
      const std::string_view rest = resource.substr(kAssumed.size());
      fits = rest.contains('/');
      out.session_ = Session::kRole;
      out.session_of_ = rest.substr(0, rest.find('/'));
    }
  }
  if (!fits) return fail(Code::kInvalid, fmt::format("{} does not fit the type of the principal", in_quotes(arn)));
  return out;
}

PrincipalEntry PrincipalEntry::everybody() { return {}; }

Checked<PrincipalEntry> PrincipalEntry::parse(std::string_view type, std::string_view value) {
  PrincipalEntry out;
  out.text_ = value;
  // "Wildcards (*, ?) are not supported with the principal key"; "You cannot use a wildcard to match part of a
  // principal name or ARN."
  const bool wildcard = value.contains('*') || value.contains('?');
  if (wildcard && (type != "AWS" || value != "*")) {
    return fault(0, in_quotes(value) + " holds a wildcard: a principal is named in full, or is \"*\" for everybody");
  }
  if (type == "Service") {
    if (!is_service_name(value)) {
      return fault(0, in_quotes(value) + " is no service: one is written like logging.s3.amazonaws.com");
    }
    out.kind_ = Kind::kService;
    return out;
  }
  if (type == "CanonicalUser") {
    const bool hex =
        std::ranges::all_of(value, [](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); });
    if (value.size() != 64 || !hex)
      return fault(0, in_quotes(value) + " is no canonical user ID: it has 64 hex digits");
    out.kind_ = Kind::kCanonicalUser;
    return out;
  }
  if (value == "*") {
    out.kind_ = Kind::kAnyAws;
    return out;
  }
  if (is_account_id(value)) {
    out.kind_ = Kind::kAccount;
    out.account_ = value;
    return out;
  }
  return parse_arn(value);
}

Checked<PrincipalEntry> PrincipalEntry::parse_arn(std::string_view value) {
  PrincipalEntry out;
  out.text_ = value;
  const auto parts = split_arn(value);
  if (!parts) {
    return fault(0, in_quotes(value) + " is no principal: name an account by its twelve digits, or somebody by an ARN");
  }
  const auto& [arn, partition, service, region, account, resource] = *parts;
  if (!is_partition(partition) || !region.empty() || !is_account_id(account)) {
    return fault(0, in_quotes(value) + " is no ARN of a principal: arn:aws:iam::ACCOUNT:user/NAME, with twelve digits");
  }
  out.account_ = account;
  struct Form {
    std::string_view service, prefix;
    Kind kind;
    size_t slashes;  // at least, in what follows the prefix
  };
  constexpr auto kForms = std::to_array<Form>({{"iam", "user/", Kind::kUser, 0},
                                               {"iam", "role/", Kind::kRole, 0},
                                               {"sts", "assumed-role/", Kind::kRoleSession, 1},
                                               {"sts", "federated-user/", Kind::kFederatedUser, 0}});
  if (service == "iam" && resource == "root") {
    out.kind_ = Kind::kAccount;
    return out;
  }
  for (const Form& form : kForms) {
    if (service != form.service || !resource.starts_with(form.prefix)) continue;
    const std::string_view rest = resource.substr(form.prefix.size());
    const bool complete = !rest.empty() && rest.front() != '/' && rest.back() != '/';
    if (!complete || std::ranges::count(rest, '/') < static_cast<std::ptrdiff_t>(form.slashes)) break;
    out.kind_ = form.kind;
    out.name_ = without_path(rest);
    return out;
  }
  if (resource.starts_with("group/")) {
    // "You cannot identify a user group as a principal in a policy".
    return fault(0, in_quotes(value) + " is a group: groups are no principals; name its users");
  }
  return fault(0, in_quotes(value) + " is no ARN of a user, a role, a session of one, or an account's root");
}

Naming PrincipalEntry::names(const Caller& caller) const {
  if (kind_ == Kind::kEverybody) return Naming::kDirect;
  if (kind_ == Kind::kCanonicalUser) return Naming::kNot;
  if (caller.type() == PrincipalType::kService) {
    return kind_ == Kind::kService && text_ == caller.name() ? Naming::kDirect : Naming::kNot;
  }
  // "Using "Principal" : { "AWS" : "*" } […] allows any root user, IAM user, assumed-role session, or federated user in
  // any account […]. For anonymous users, these two methods are equivalent."
  if (kind_ == Kind::kAnyAws) return Naming::kDirect;
  if (account_.empty() || account_ != caller.account()) return Naming::kNot;
  switch (kind_) {
    case Kind::kAccount:
      return caller.type() == PrincipalType::kRoot ? Naming::kDirect : Naming::kAccount;
    case Kind::kUser:
      if (caller.session_ == Caller::Session::kFederatedUser) {
        // "[…] if a resource-based policy grants permission to the ARN of the IAM user who federated, then requests
        // made by the federated user […] are limited by an implicit deny in a permission boundary".
        return caller.session_of_ == name_ ? Naming::kRole : Naming::kNot;
      }
      return text_ == caller.arn() ? Naming::kDirect : Naming::kNot;
    case Kind::kRole:
      // The ARN of a session has the role's name and not its path.
      if (caller.session_ == Caller::Session::kRole) return caller.session_of_ == name_ ? Naming::kRole : Naming::kNot;
      return text_ == caller.arn() ? Naming::kRole : Naming::kNot;
    default:
      return text_ == caller.arn() ? Naming::kDirect : Naming::kNot;
  }
}

bool PrincipalEntry::is_exactly(const Caller& caller) const {
  const Naming naming = names(caller);
  return naming == Naming::kDirect || (naming == Naming::kRole && text_ == caller.arn());
}

Checked<void> PrincipalElement::parse_type(const JsonTree& tree, const JsonNode& node) {
  constexpr auto kTypes = std::to_array<std::string_view>({"AWS", "Service", "CanonicalUser", "Federated"});
  if (std::ranges::find(kTypes, node.name) == kTypes.end()) {
    return fault(node.name_begin,
                 "unknown type of principal " + in_quotes(node.name) + did_you_mean(node.name, kTypes));
  }
  if (node.name == "Federated") {
    // Policy check "Federated principal not supported": they are for the trust policies of roles.
    return fault(node.name_begin, "a bucket policy takes no federated principals");
  }
  const auto add = [&](const JsonNode& value) -> Checked<void> {
    if (!value.is(JsonKind::kString)) {
      return fault(value.begin, "a principal is a string, and not " + std::string(kind_name(value.kind)));
    }
    auto entry = PrincipalEntry::parse(node.name, value.text);
    if (!entry) return fault(value.begin, entry.error().message);
    entries_.push_back(std::move(*entry));
    return {};
  };
  if (!node.is(JsonKind::kArray)) return add(node);
  if (tree.children(node).empty()) return fault(node.begin, "the list of principals is empty");
  for (const JsonNode& value : tree.children(node)) {
    if (auto added = add(value); !added) return added;
  }
  return {};
}

Checked<PrincipalElement> PrincipalElement::parse(const JsonTree& tree, const JsonNode& node, bool negated) {
  PrincipalElement out;
  out.negated_ = negated;
  out.offset_ = node.name_begin;
  if (node.is(JsonKind::kString) && node.text == "*") {
    out.entries_.push_back(PrincipalEntry::everybody());
    return out;
  }
  if (!node.is(JsonKind::kObject)) {
    return fault(node.begin, R"(principals are written "*" or {"AWS": "111122223333"})");
  }
  if (tree.children(node).empty()) return fault(node.begin, "no principal is named");
  std::vector<std::string_view> seen;
  for (const JsonNode& type : tree.children(node)) {
    if (std::ranges::find(seen, type.name) != seen.end()) {
      return fault(type.name_begin, in_quotes(type.name) + " is there twice");
    }
    seen.push_back(type.name);
    if (auto parsed = out.parse_type(tree, type); !parsed) return std::unexpected(parsed.error());
  }
  return out;
}

Naming PrincipalElement::allows(const Caller& caller) const {
  Naming best = Naming::kNot;
  for (const PrincipalEntry& entry : entries_) best = std::max(best, entry.names(caller));
  if (!negated_) return best;
  // Everybody but those who are named in any way.
  return best == Naming::kNot ? Naming::kDirect : Naming::kNot;
}

// For NotPrincipal only who is named himself is excepted, as in the examples of the AWS page: where a user and his
// account are listed, all principals except that user and the account's root are denied; where a session, its role and
// the account are, all except that session.
bool PrincipalElement::denies(const Caller& caller) const {
  if (negated_) return std::ranges::none_of(entries_, [&](const auto& entry) { return entry.is_exactly(caller); });
  return std::ranges::any_of(entries_, [&](const auto& entry) { return entry.names(caller) != Naming::kNot; });
}

}  // namespace pailfs::policy
