#include "policy/simulation.h"

#include <fmt/format.h>

#include <array>
#include <deque>
#include <vector>

#include "policy/letters.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

constexpr size_t kMaxHeldBytes = 64 << 20;

// A value of the input as it was, without the white space between its parts.
std::string compact(std::string_view json) {
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') {
      out += c;
      out += json[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || (c != ' ' && c != '\t' && c != '\r' && c != '\n')) out += c;
  }
  return out;
}

std::string answer(std::string_view id, std::string_view decision) {
  return fmt::format(R"({{"id":{},"decision":"{}"}})", id, decision);
}

std::unexpected<Fault> no_case(const JsonNode& node, std::string_view what) {
  return fault(node.begin, std::string(what) + ", and not " + std::string(kind_name(node.kind)));
}

}  // namespace

// One case. Everything it points to is in the tree, in the simulator, or in itself.
class Simulator::Case {
 public:
  Case(Simulator& simulator, const JsonTree& tree) : simulator_(simulator), tree_(tree) {}

  Checked<std::string_view> decide() {
    const JsonNode& root = tree_.root();
    if (!root.is(JsonKind::kObject)) return no_case(root, "a case is an object");
    PAILFS_ASSIGN(const JsonNode* const principal, needed(root, "principal", JsonKind::kObject));
    PAILFS_ASSIGN(const JsonNode* const request, needed(root, "request", JsonKind::kObject));
    PAILFS_ASSIGN(const std::string_view account, text(root, "account"));
    if (!is_account_id(account)) {
      return fault(tree_.member(root, "account")->begin, "the account is written with twelve digits");
    }
    PAILFS_ASSIGN(const Caller caller, read_caller(*principal));
    PAILFS_ASSIGN(const std::string_view action, text(*request, "action"));
    PAILFS_ASSIGN(const std::string_view resource, text(*request, "resource"));
    PAILFS_TRY(read_context(*request));
    PAILFS_TRY(read_documents(root));
    if (!refusal_.empty()) return "Invalid";
    const Policies policies{identity_, boundary_, bucket_};
    return outcome_name(evaluate(policies, {caller, account, action, resource, context_}).outcome);
  }
  const std::string& refusal() const { return refusal_; }

 private:
  // A member that is there and not null.
  const JsonNode* given(const JsonNode& object, std::string_view name) const {
    const JsonNode* const node = tree_.member(object, name);
    return node == nullptr || node->is(JsonKind::kNull) ? nullptr : node;
  }
  Checked<const JsonNode*> needed(const JsonNode& object, std::string_view name, JsonKind kind) const {
    const JsonNode* const node = given(object, name);
    if (node == nullptr) return fault(object.begin, "the member " + in_quotes(name) + " is missing");
    if (!node->is(kind)) return no_case(*node, in_quotes(name) + " is " + std::string(kind_name(kind)));
    return node;
  }
  Checked<std::string_view> text(const JsonNode& object, std::string_view name) const {
    PAILFS_ASSIGN(const JsonNode* const node, needed(object, name, JsonKind::kString));
    return node->text;
  }
  std::string_view text_if_given(const JsonNode& object, std::string_view name) const {
    const JsonNode* const node = given(object, name);
    return node != nullptr && node->is(JsonKind::kString) ? node->text : std::string_view();
  }

  Checked<Caller> read_caller(const JsonNode& principal) const {
    constexpr auto kTypes = std::to_array<std::string_view>({"user", "role", "root", "service", "anonymous"});
    PAILFS_ASSIGN(const std::string_view type, text(principal, "type"));
    const auto* const found = std::ranges::find(kTypes, type);
    if (found == kTypes.end()) {
      return fault(tree_.member(principal, "type")->begin,
                   "unknown type of principal " + in_quotes(type) + did_you_mean(type, kTypes));
    }
    auto caller = Caller::make(static_cast<PrincipalType>(found - kTypes.begin()), text_if_given(principal, "name"),
                               text_if_given(principal, "arn"));
    if (!caller) return fault(principal.begin, caller.error().message);
    return std::move(*caller);
  }

  Checked<void> read_context(const JsonNode& request) {
    const JsonNode* const context = given(request, "context");
    if (context == nullptr) return {};
    if (!context->is(JsonKind::kObject)) return no_case(*context, "the context is an object");
    std::vector<std::string_view> values;
    for (const JsonNode& key : tree_.children(*context)) {
      values.clear();
      const auto add = [&](const JsonNode& value) -> Checked<void> {
        if (!value.is_scalar()) return no_case(value, "a value of the context is a string, a number or a boolean");
        values.push_back(value.text);
        return {};
      };
      if (key.is(JsonKind::kArray)) {
        for (const JsonNode& value : tree_.children(key)) PAILFS_TRY(add(value));
      } else if (!key.is(JsonKind::kNull)) {
        PAILFS_TRY(add(key));
      }
      if (!values.empty()) context_.add(keys_.emplace_back(lowered(key.name)), values);
    }
    return {};
  }

  const Document* read_document(const JsonNode& node, DocumentKind kind, std::string_view which) {
    const Compiled& compiled = simulator_.compiled(tree_.source(node), kind);
    if (compiled.document) {
      kept_.push_back(compiled.document);
      return compiled.document.get();
    }
    if (refusal_.empty()) refusal_ = fmt::format("{}: {}", which, compiled.refusal);
    return nullptr;
  }

  Checked<void> read_documents(const JsonNode& root) {
    if (const JsonNode* const documents = given(root, "identity_policies")) {
      if (!documents->is(JsonKind::kArray)) return no_case(*documents, "identity_policies is a list");
      size_t number = 0;
      for (const JsonNode& document : tree_.children(*documents)) {
        identity_.push_back(
            read_document(document, DocumentKind::kIdentity, fmt::format("identity policy {}", ++number)));
      }
    }
    if (const JsonNode* const document = given(root, "boundary")) {
      boundary_ = read_document(*document, DocumentKind::kBoundary, "boundary");
    }
    if (const JsonNode* const document = given(root, "bucket_policy")) {
      bucket_ = read_document(*document, DocumentKind::kBucket, "bucket policy");
    }
    return {};
  }

  Simulator& simulator_;
  const JsonTree& tree_;
  Context context_;
  std::deque<std::string> keys_;  // of the context, in lower case
  std::vector<const Document*> identity_;
  const Document* boundary_ = nullptr;
  const Document* bucket_ = nullptr;
  std::vector<std::shared_ptr<const Document>> kept_;
  std::string refusal_;
};

SimulatedCase Simulator::run(std::string_view line) {
  const auto no_case_at = [&](std::string_view id, const Fault& fault) {
    return SimulatedCase{answer(id, "Invalid"),
                         fmt::format("character {}: {}", place_of(line, fault.offset).column, fault.message), ""};
  };
  const auto tree = JsonTree::parse(line);
  if (!tree) return no_case_at("null", tree.error());
  const JsonNode* const id = tree->member(tree->root(), "id");
  const std::string echoed = id != nullptr ? compact(tree->source(*id)) : "null";
  Case current(*this, *tree);
  const auto decision = current.decide();
  if (!decision) return no_case_at(echoed, decision.error());
  return {answer(echoed, *decision), "", current.refusal()};
}

const Simulator::Compiled& Simulator::compiled(std::string_view text, DocumentKind kind) {
  std::string key(1, static_cast<char>(kind));
  key += text;
  const auto found = documents_.find(key);
  if (found != documents_.end()) return found->second;
  held_bytes_ += key.size();
  if (held_bytes_ > kMaxHeldBytes) {
    documents_.clear();
    held_bytes_ = key.size();
  }
  const auto compiled = Document::compile(text, {.kind = kind, .bucket = {}});
  return documents_[std::move(key)] =
             compiled ? Compiled{*compiled, ""} : Compiled{nullptr, compiled.error().to_string()};
}

}  // namespace pailfs::policy
