// The request context: condition keys and their values, given by who asks for a decision. Nothing is derived here, not
// even the time.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace pailfs::policy {

// Whether a condition key is among `keys`, all in lower case. One of these that ends with a slash stands for all that
// begin so: "s3:existingobjecttag/".
bool is_among(std::string_view key, std::span<const std::string_view> keys);

// Holds views: what they point to must outlive it. clear() keeps the memory for the next request.
class Context {
 public:
  // `key` in lower case, as names of condition keys ignore it. A key that is given again has the values of both: tags
  // may differ in case only.
  void add(std::string_view key, std::span<const std::string_view> values);
  void add(std::string_view key, std::string_view value) { add(key, std::span(&value, 1)); }
  // The values of a key in lower case; none: the key is absent.
  std::span<const std::string_view> find(std::string_view key) const;
  void clear();

 private:
  struct Entry {
    std::string_view key;
    size_t first, count;
  };
  std::vector<Entry> entries_;
  std::vector<std::string_view> values_;
};

}  // namespace pailfs::policy
