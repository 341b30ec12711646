// One statement of a document: the grammar's <statement>. Only document.cc includes this.
#pragma once

#include <array>
#include <span>

#include "policy/document.h"
#include "policy/json_tree.h"

namespace pailfs::policy {

// The members of an object by the order of `names`, null where one is missing. A member of another name, or one that is
// given twice, is a fault: "Individual elements must not contain multiple instances of the same key." `what`:
// "element".
Checked<void> find_members(const JsonTree& tree, const JsonNode& object, std::span<const std::string_view> names,
                           std::span<const JsonNode*> found, std::string_view what);

template <size_t N>
Checked<std::array<const JsonNode*, N>> find_members(const JsonTree& tree, const JsonNode& object,
                                                     const std::array<std::string_view, N>& names,
                                                     std::string_view what) {
  std::array<const JsonNode*, N> found{};
  if (auto result = find_members(tree, object, std::span(names), std::span(found), what); !result) {
    return std::unexpected(result.error());
  }
  return found;
}

class StatementReader {
 public:
  StatementReader(const JsonTree& tree, const DocumentRules& rules, bool variables)
      : tree_(tree), rules_(rules), variables_(variables) {}

  Checked<Statement> read(const JsonNode& node);

 private:
  using Elements = std::array<const JsonNode*, 9>;
  Checked<void> read_elements(const JsonNode& node, const Elements& elements);
  Checked<void> read_effect(const JsonNode& node);
  Checked<void> read_sid(const JsonNode& node);
  Checked<void> read_principal(const JsonNode& statement, const JsonNode* principal, const JsonNode* not_principal);
  Checked<void> read_actions(const JsonNode& node, bool negated);
  Checked<void> add_action(const JsonNode& node);
  Checked<void> read_resources(const JsonNode& node, bool negated);
  Checked<void> add_resource(const JsonNode& node);
  Checked<void> check_bucket(const JsonNode& node, const ArnPattern& pattern) const;
  Checked<void> read_conditions(const JsonNode& node);
  Checked<void> read_operator(const JsonNode& node);
  Checked<void> check_key(const JsonNode& node, const Condition& condition) const;
  // Calls `add` for a string, or for each string of a list.
  template <class Add>
  Checked<void> for_each_string(const JsonNode& node, std::string_view what, Add add);

  const JsonTree& tree_;
  const DocumentRules& rules_;
  const bool variables_;
  Statement out_;
};

}  // namespace pailfs::policy
