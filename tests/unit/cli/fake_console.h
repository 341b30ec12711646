#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "cli/console.h"

namespace pailfs {

// A terminal whose user types what the test says, or a pipe when it says nothing.
class FakeConsole : public Console {
 public:
  void out(std::string_view text) override { output += text; }
  void error(std::string_view text) override { errors += text; }
  bool interactive() const override { return has_terminal; }
  Result<Secret> ask_secret(const std::string& prompt) override {
    prompts += prompt;
    if (typed.empty()) return fail(Code::kInterrupted, "given up");
    Secret secret{std::string_view(typed.front())};
    typed.pop_front();
    return secret;
  }
  Result<std::string> ask_line(const std::string& prompt) override {
    prompts += prompt;
    if (typed.empty()) return fail(Code::kInterrupted, "given up");
    std::string line = typed.front();
    typed.pop_front();
    return line;
  }
  void show_progress(uint64_t, uint64_t) override {}
  void end_progress() override {}

  bool flush() override { return !output_is_full; }

  std::string output, errors, prompts;
  bool output_is_full = false;
  bool has_terminal = false;
  std::deque<std::string> typed;
};

}  // namespace pailfs
