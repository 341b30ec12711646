// Decides cases that are written as JSON, one a line: `pail policy simulate`.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "policy/document.h"
#include "policy/evaluate.h"

namespace pailfs::policy {

// What became of a line.
struct SimulatedCase {
  std::string output;  // one line of compact JSON, without its end: {"id":…,"decision":"Allow"}
  // Why the line is no case; empty if it is one. Its decision is "Invalid", so that each line has its answer.
  std::string problem;
  // Why a document of the case is refused, and which; empty if none is.
  std::string refusal;
};

class Simulator {
 public:
  // `line` without its end.
  SimulatedCase run(std::string_view line);

 private:
  struct Compiled {
    std::shared_ptr<const Document> document;  // null: refused
    std::string refusal;
  };
  // Each text is compiled once; when too many are held, all are forgotten.
  const Compiled& compiled(std::string_view text, DocumentKind kind);
  class Case;

  std::unordered_map<std::string, Compiled> documents_;
  size_t held_bytes_ = 0;
};

}  // namespace pailfs::policy
