#include "policy/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/letters.h"
#include "policy/statement_reader.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

constexpr auto kElements = std::to_array<std::string_view>({"Version", "Id", "Statement"});

bool is_white_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

Checked<void> check_size(std::string_view text, const DocumentRules& rules) {
  if (rules.kind == DocumentKind::kBucket) {
    if (text.size() <= kMaxBucketBytes) return {};
    return fault(0, fmt::format("a bucket policy has at most {} bytes, and this has {}", kMaxBucketBytes, text.size()));
  }
  // A boundary is a managed policy always. What is stored here says what it is elsewhere.
  const size_t most = rules.kind == DocumentKind::kBoundary ? kMaxManagedCharacters
                      : rules.kind == DocumentKind::kTrust  ? kMaxTrustCharacters
                                                            : kMaxIdentityCharacters;
  const auto characters =
      static_cast<size_t>(std::ranges::count_if(text, [](char c) { return !is_white_space(c) && (c & 0xC0) != 0x80; }));
  if (characters <= most) return {};
  return fault(
      0, fmt::format("this policy has at most {} characters without white space, and this has {}", most, characters));
}

}  // namespace

// One document, from the tree on.
class DocumentReader {
 public:
  DocumentReader(const JsonTree& tree, const DocumentRules& rules) : tree_(tree), rules_(rules) {}

  Checked<std::shared_ptr<const Document>> read() {
    const JsonNode& root = tree_.root();
    if (!root.is(JsonKind::kObject)) {
      return fault(root.begin, "a policy is an object, and not " + std::string(kind_name(root.kind)));
    }
    const auto found = find_members(tree_, root, kElements, "element");
    if (!found) return std::unexpected(found.error());
    const auto& [version, id, statement] = *found;
    std::shared_ptr<Document> document(new Document);
    document->kind_ = rules_.kind;
    if (version != nullptr) {
      if (auto checked = check_version(*version); !checked) return std::unexpected(checked.error());
      document->variables_ = version->text == "2012-10-17";
    }
    if (id != nullptr) {
      if (auto checked = check_id(*id); !checked) return std::unexpected(checked.error());
    }
    if (statement == nullptr) return fault(root.begin, "the element Statement is missing");
    if (auto added = read_statements(*statement, *document); !added) return std::unexpected(added.error());
    return document;
  }

 private:
  // Without a version it is 2008-10-17, in which ${ is just text.
  Checked<void> check_version(const JsonNode& node) const {
    if (node.is(JsonKind::kString) && (node.text == "2012-10-17" || node.text == "2008-10-17")) return {};
    return fault(node.begin, R"(the version is "2012-10-17", or "2008-10-17" without policy variables)");
  }

  // "The id_block is allowed in resource-based policies, but not in identity-based policies."
  Checked<void> check_id(const JsonNode& node) const {
    if (!has_principals(rules_.kind)) return fault(node.name_begin, "only bucket and trust policies have an Id");
    if (node.is(JsonKind::kString)) return {};
    return fault(node.begin, "the Id is a string, and not " + std::string(kind_name(node.kind)));
  }

  Checked<void> read_statements(const JsonNode& node, Document& document) {
    if (node.is(JsonKind::kObject)) return read_statement(node, document);
    if (!node.is(JsonKind::kArray)) {
      return fault(node.begin,
                   "Statement is an object or a list of them, and not " + std::string(kind_name(node.kind)));
    }
    if (tree_.children(node).empty()) return fault(node.begin, "the list of statements is empty");
    for (const JsonNode& statement : tree_.children(node)) {
      if (auto added = read_statement(statement, document); !added) return added;
    }
    return {};
  }

  Checked<void> read_statement(const JsonNode& node, Document& document) {
    auto statement = StatementReader(tree_, rules_, document.variables_).read(node);
    if (!statement) return std::unexpected(statement.error());
    // "In IAM, the Sid value must be unique within a JSON policy."
    const bool unique = !has_principals(rules_.kind) && !statement->sid.empty();
    if (unique &&
        std::ranges::find(document.statements_, statement->sid, &Statement::sid) != document.statements_.end()) {
      return fault(node.begin, "the Sid " + in_quotes(statement->sid) + " is that of a statement before");
    }
    document.statements_.push_back(std::move(*statement));
    return {};
  }

  const JsonTree& tree_;
  const DocumentRules& rules_;
};

std::expected<std::shared_ptr<const Document>, Refusal> Document::compile(std::string_view text,
                                                                          const DocumentRules& rules) {
  const auto compiled = [&]() -> Checked<std::shared_ptr<const Document>> {
    if (auto size = check_size(text, rules); !size) return std::unexpected(size.error());
    const auto tree = JsonTree::parse(text);
    if (!tree) return std::unexpected(tree.error());
    return DocumentReader(*tree, rules).read();
  }();
  if (compiled) return *compiled;
  return std::unexpected(Refusal{place_of(text, compiled.error().offset), compiled.error().message});
}

bool Statement::is_about(std::string_view action) const {
  return std::ranges::any_of(actions, [&](const ActionPattern& pattern) { return pattern.matches(action); }) !=
         not_action;
}

bool Statement::is_about(const Arn& resource, const Context& context) const {
  bool named = false, unresolved = false;
  for (const ArnPattern& pattern : resources) {
    const Match match = pattern.matches(resource, context);
    named = named || match == Match::kYes;
    unresolved = unresolved || match == Match::kUnresolved;
    if (named) break;
  }
  // A variable without a value lets nothing match, a NotResource neither.
  return not_resource ? !named && !unresolved : named;
}

bool Statement::applies(std::string_view action, const Arn& resource, const Context& context) const {
  if (!is_about(action) || !is_about(resource, context)) return false;
  return std::ranges::all_of(conditions, [&](const Condition& condition) { return condition.holds(context); });
}

bool Statement::names_by(std::span<const std::string_view> keys) const {
  return std::ranges::any_of(resources, [&](const ArnPattern& pattern) {
    return std::ranges::any_of(pattern.keys(), [&](std::string_view key) { return is_among(key, keys); });
  });
}

bool Document::asks_for(std::span<const std::string_view> keys) const {
  return std::ranges::any_of(statements_, [&](const Statement& statement) {
    return statement.names_by(keys) ||
           std::ranges::any_of(statement.conditions, [&](const Condition& it) { return it.goes_by(keys); });
  });
}

bool is_supplied_key(std::string_view key) {
  for (const std::string_view tag : {"aws:principaltag/", "s3:existingobjecttag/", "s3:requestobjecttag/"}) {
    if (key.starts_with(tag) && key.size() > tag.size()) return true;
  }
  constexpr auto kKeys = std::to_array<std::string_view>({"aws:currenttime",
                                                          "aws:epochtime",
                                                          "aws:principalaccount",
                                                          "aws:principalarn",
                                                          "aws:principaltype",
                                                          "aws:securetransport",
                                                          "aws:sourceip",
                                                          "aws:userid",
                                                          "aws:username",
                                                          "pail:door",
                                                          "pail:executable",
                                                          "pail:gid",
                                                          "pail:hour",
                                                          "pail:uid",
                                                          "pail:weekday",
                                                          "s3:delimiter",
                                                          "s3:max-keys",
                                                          "s3:object-lock-legal-hold",
                                                          "s3:object-lock-mode",
                                                          "s3:object-lock-remaining-retention-days",
                                                          "s3:object-lock-retain-until-date",
                                                          "s3:prefix",
                                                          "s3:requestobjecttagkeys",
                                                          "s3:versionid",
                                                          "s3:x-amz-acl",
                                                          "s3:x-amz-server-side-encryption",
                                                          "s3:x-amz-storage-class",
                                                          "sts:rolesessionname"});
  return std::ranges::find(kKeys, key) != kKeys.end();
}

}  // namespace pailfs::policy
