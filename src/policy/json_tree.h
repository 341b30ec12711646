// JSON as a tree that knows where everything stands in the text, and keeps members that are given twice: the JSON
// library's own tree does neither.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "policy/refusal.h"

namespace pailfs::policy {

inline constexpr int kMaxJsonDepth = 32;

enum class JsonKind : uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

struct JsonNode {
  JsonKind kind = JsonKind::kNull;
  size_t begin = 0, end = 0;  // bytes in the text
  std::string_view text;      // a string's value; a number or a boolean as it stands
  std::string_view name;      // of a member
  size_t name_begin = 0;
  uint32_t first_child = 0, next = 0;  // numbers of nodes; 0: none

  bool is(JsonKind k) const { return kind == k; }
  bool is_scalar() const {
    return kind == JsonKind::kBoolean || kind == JsonKind::kNumber || kind == JsonKind::kString;
  }
};

// "a string", "an object": for messages.
std::string_view kind_name(JsonKind kind);

class JsonTree {
 public:
  // `text` must stay where it is for as long as the tree is used. Deep nesting is a fault.
  static Checked<JsonTree> parse(std::string_view text);

  const JsonNode& root() const { return nodes_[1]; }
  std::string_view source(const JsonNode& node) const { return text_.substr(node.begin, node.end - node.begin); }

  // The elements of an array or members of an object, in order; nothing for other nodes.
  class Children {
   public:
    class Iterator {
     public:
      Iterator(const JsonTree& tree, uint32_t number) : tree_(&tree), number_(number) {}
      const JsonNode& operator*() const { return tree_->nodes_[number_]; }
      Iterator& operator++() {
        number_ = tree_->nodes_[number_].next;
        return *this;
      }
      bool operator==(const Iterator& other) const { return number_ == other.number_; }

     private:
      const JsonTree* tree_;
      uint32_t number_;
    };
    Children(const JsonTree& tree, uint32_t first) : tree_(tree), first_(first) {}
    Iterator begin() const { return {tree_, first_}; }
    Iterator end() const { return {tree_, 0}; }
    bool empty() const { return first_ == 0; }

   private:
    const JsonTree& tree_;
    uint32_t first_;
  };
  Children children(const JsonNode& node) const { return {*this, node.first_child}; }
  // The first member of that name, null where there is none.
  const JsonNode* member(const JsonNode& object, std::string_view name) const;

 private:
  friend class JsonTreeBuilder;
  explicit JsonTree(std::string_view text) : text_(text), nodes_(1) {}

  std::string_view text_;
  std::vector<JsonNode> nodes_;      // [0] stands for none
  std::deque<std::string> decoded_;  // strings that differ from the text, as they hold escapes
};

}  // namespace pailfs::policy
