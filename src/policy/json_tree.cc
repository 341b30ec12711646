#include "policy/json_tree.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "policy/letters.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

// Characters of the text for the library's parser, which counts what it has taken: where an event happens, the token
// that caused it ends here, or one character before.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, size_t* taken) : at_(at), taken_(taken) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*taken_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  size_t* taken_;
};

bool is_of_number(char c) { return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

}  // namespace

std::string_view kind_name(JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kBoolean:
      return "a boolean";
    case JsonKind::kNumber:
      return "a number";
    case JsonKind::kString:
      return "a string";
    case JsonKind::kArray:
      return "a list";
    case JsonKind::kObject:
      return "an object";
  }
  return "something else";
}

// Receives the library's events. Its parser keeps its place in a vector and recurses nowhere.
class JsonTreeBuilder {
 public:
  explicit JsonTreeBuilder(std::string_view text) : tree_(text), text_(text) {}

  Checked<JsonTree> run() {
    const char* const first = text_.data();
    const CountingIterator begin(first, &taken_);
    const CountingIterator end(first + text_.size(), &taken_);
    if (!nlohmann::json::sax_parse(begin, end, this) || tree_.nodes_.size() < 2) {
      return std::unexpected(fault_.message.empty() ? Fault{taken_, "this is not JSON"} : std::move(fault_));
    }
    return std::move(tree_);
  }

  // The names are the library's.
  bool null() { return add(JsonKind::kNull, taken_ - 4, taken_); }
  bool boolean(bool value) {
    const size_t begin = taken_ - (value ? 4 : 5);
    add(JsonKind::kBoolean, begin, taken_);
    tree_.nodes_.back().text = text_.substr(begin, taken_ - begin);
    return true;
  }
  bool number_integer(int64_t) { return add_number(); }
  bool number_unsigned(uint64_t) { return add_number(); }
  bool number_float(double, const std::string&) { return add_number(); }
  bool string(std::string& value) {
    const size_t begin = opening_quote();
    add(JsonKind::kString, begin, taken_);
    tree_.nodes_.back().text = kept(value, begin);
    return true;
  }
  bool binary(std::vector<uint8_t>&) { return false; }
  bool start_object(size_t) { return open(JsonKind::kObject); }
  bool start_array(size_t) { return open(JsonKind::kArray); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& value) {
    name_begin_ = opening_quote();
    name_ = kept(value, name_begin_);
    return true;
  }
  template <class Exception>
  bool parse_error(size_t, const std::string& last_token, const Exception& exception) {
    if (!fault_.message.empty()) return false;
    const std::string_view said = exception.what();
    const bool at_end = said.contains("unexpected end of input") || said.contains("missing closing quote");
    fault_.offset = taken_ > 0 && !at_end ? taken_ - 1 : taken_;
    fault_.message =
        at_end ? "the JSON ends too early" : "this is not JSON: " + in_quotes(last_token) + " is unexpected";
    return false;
  }

 private:
  bool add(JsonKind kind, size_t begin, size_t end) {
    JsonNode node;
    node.kind = kind;
    node.begin = begin;
    node.end = end;
    node.name = name_;
    node.name_begin = name_begin_;
    name_ = {};
    const auto number = static_cast<uint32_t>(tree_.nodes_.size());
    tree_.nodes_.push_back(node);
    if (!open_.empty()) {
      Open& parent = open_.back();
      (parent.last == 0 ? tree_.nodes_[parent.number].first_child : tree_.nodes_[parent.last].next) = number;
      parent.last = number;
    }
    return true;
  }

  bool add_number() {
    size_t end = taken_;
    // The parser has to look at the character after a number.
    while (end > 0 && !is_of_number(text_[end - 1])) --end;
    size_t begin = end;
    while (begin > 0 && is_of_number(text_[begin - 1])) --begin;
    add(JsonKind::kNumber, begin, end);
    tree_.nodes_.back().text = text_.substr(begin, end - begin);
    return true;
  }

  bool open(JsonKind kind) {
    add(kind, taken_ - 1, taken_);
    open_.push_back({static_cast<uint32_t>(tree_.nodes_.size() - 1), 0});
    if (open_.size() <= size_t{kMaxJsonDepth}) return true;
    fault_ = {taken_ - 1, fmt::format("lists and objects are nested more than {} deep", kMaxJsonDepth)};
    return false;
  }

  bool close() {
    tree_.nodes_[open_.back().number].end = taken_;
    open_.pop_back();
    return true;
  }

  // Of the string whose closing quotation mark was taken last: inside it, one stands behind an odd number of
  // backslashes.
  size_t opening_quote() const {
    size_t at = taken_ - 1;
    for (;;) {
      at = text_.rfind('"', at - 1);
      size_t backslashes = 0;
      while (backslashes < at && text_[at - 1 - backslashes] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return at;
    }
  }

  std::string_view kept(std::string& value, size_t begin) {
    const std::string_view raw = text_.substr(begin + 1, taken_ - begin - 2);
    if (raw.size() == value.size()) return raw;  // every escape is longer than what it stands for
    return tree_.decoded_.emplace_back(std::move(value));
  }

  struct Open {
    uint32_t number;
    uint32_t last;  // its last child so far
  };
  JsonTree tree_;
  std::string_view text_;
  size_t taken_ = 0;
  std::vector<Open> open_;
  std::string_view name_;
  size_t name_begin_ = 0;
  Fault fault_;
};

Checked<JsonTree> JsonTree::parse(std::string_view text) { return JsonTreeBuilder(text).run(); }

const JsonNode* JsonTree::member(const JsonNode& object, std::string_view name) const {
  for (const JsonNode& child : children(object)) {
    if (child.name == name && object.kind == JsonKind::kObject) return &child;
  }
  return nullptr;
}

}  // namespace pailfs::policy
