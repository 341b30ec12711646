// What is wrong with a document, and where.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace pailfs::policy {

// A place in a text: a line and a character in it, both from 1.
struct Place {
  size_t line = 1;
  size_t column = 1;
};

// Where byte `offset` of `text` is.
Place place_of(std::string_view text, size_t offset);

// Why a document is refused: "line 3, column 5: unknown element "Acton"; did you mean "Action"?".
struct Refusal {
  Place place;
  std::string message;

  std::string to_string() const;
};

// The same while a document is being read, when only bytes are counted.
struct Fault {
  size_t offset = 0;
  std::string message;
};

template <class T>
using Checked = std::expected<T, Fault>;

inline std::unexpected<Fault> fault(size_t offset, std::string message) {
  return std::unexpected(Fault{offset, std::move(message)});
}

}  // namespace pailfs::policy
