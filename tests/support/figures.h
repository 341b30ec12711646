// The figures of a test for tests/soak/run: the form is described in tests/mount/fixture/figures.py.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

namespace pailfs::test {

inline void print_figures(std::string_view row, std::string_view what,
                          std::span<const std::pair<std::string_view, uint64_t>> numbers) {
  fmt::print("figures: {{\"row\": \"{}\", \"what\": \"{}\"", row, what);
  for (const auto& [name, value] : numbers) fmt::print(", \"{}\": {}", name, value);
  fmt::print("}}\n");
  std::fflush(stdout);
}

inline void print_figures(std::string_view row, std::string_view what,
                          std::initializer_list<std::pair<std::string_view, uint64_t>> numbers) {
  print_figures(row, what, std::span(numbers.begin(), numbers.size()));
}

}  // namespace pailfs::test
