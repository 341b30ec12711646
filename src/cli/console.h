// What `pail` reads from and writes to: a terminal, pipes, or a test.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "crypto/secret.h"

namespace pailfs {

class Console {
 public:
  virtual ~Console() = default;
  virtual void out(std::string_view text) = 0;    // standard output, as is
  virtual void error(std::string_view text) = 0;  // standard error, as is
  // Hands on what was written so far, to somebody who waits for it. False: not all of it could be written.
  virtual bool flush() { return true; }
  // There is a terminal to ask on.
  virtual bool interactive() const = 0;
  // Asks without echo. kInterrupted when the user gives up.
  virtual Result<Secret> ask_secret(const std::string& prompt) = 0;
  // Asks for a line. kInterrupted at the end of input.
  virtual Result<std::string> ask_line(const std::string& prompt) = 0;
  // One line that is redrawn, on a terminal only; end_progress() removes it.
  virtual void show_progress(uint64_t done, uint64_t total) = 0;
  virtual void end_progress() = 0;
};

std::unique_ptr<Console> make_terminal_console();

// "[#####.....]  50 %", or a count where the total is not known (0).
std::string progress_line(uint64_t done, uint64_t total);

}  // namespace pailfs
