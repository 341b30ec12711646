#include "cli/console.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace pailfs {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using Terminal = std::unique_ptr<std::FILE, CloseFile>;

// What cannot be written is not told here: main() looks at standard output at the end.
void put(std::FILE* to, std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), to); }

// Input without echo, and signals as characters, so that the terminal is put back whatever is typed.
class QuietInput {
 public:
  explicit QuietInput(int fd) : fd_(fd) {
    changed_ = ::tcgetattr(fd_, &old_) == 0;
    if (!changed_) return;
    termios quiet = old_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | ISIG);
    ::tcsetattr(fd_, TCSAFLUSH, &quiet);
  }
  ~QuietInput() {
    if (changed_) ::tcsetattr(fd_, TCSAFLUSH, &old_);
  }
  QuietInput(const QuietInput&) = delete;
  QuietInput& operator=(const QuietInput&) = delete;

 private:
  const int fd_;
  termios old_{};
  bool changed_ = false;
};

constexpr size_t kMaxTyped = 1024;

// Reads up to Enter into locked memory.
Result<Secret> read_quietly(std::FILE* terminal) {
  const QuietInput quiet(::fileno(terminal));
  Secret typed(kMaxTyped);
  size_t length = 0;
  for (;;) {
    const int c = std::fgetc(terminal);
    if (c == '\n' || c == '\r') break;
    if (c == EOF || c == 3 || c == 28 || (c == 4 && length == 0)) {  // Ctrl-C, Ctrl-\, Ctrl-D
      return fail(Code::kInterrupted, "given up: nothing was changed");
    }
    if (c == 127 || c == 8) {  // erases one character, which may be several bytes of UTF-8
      while (length > 0 && (typed.data()[length - 1] & 0xC0) == 0x80) --length;
      if (length > 0) --length;
    } else if (c == 21) {  // Ctrl-U
      length = 0;
    } else if (length < kMaxTyped) {
      typed.data()[length++] = static_cast<char>(c);
    } else {
      return fail(Code::kInvalid, fmt::format("more than {} bytes were typed; use a file", kMaxTyped));
    }
  }
  return Secret(typed.view().substr(0, length));
}

class TerminalConsole : public Console {
 public:
  void out(std::string_view text) override { put(stdout, text); }
  void error(std::string_view text) override {
    (void)flush();
    put(stderr, text);
  }
  bool flush() override { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }
  bool interactive() const override { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1; }

  Result<Secret> ask_secret(const std::string& prompt) override {
    const Terminal keyboard(std::fopen("/dev/tty", "r")), screen(std::fopen("/dev/tty", "w"));
    if (!keyboard || !screen) return fail(Code::kInvalid, "there is no terminal to ask on; give the secret in a file");
    // No copy of the secret in a buffer.
    if (std::setvbuf(keyboard.get(), nullptr, _IONBF, 0) != 0 || std::setvbuf(screen.get(), nullptr, _IONBF, 0) != 0) {
      return fail(Code::kNoMemory, "cannot read from the terminal without a buffer; give the secret in a file");
    }
    put(screen.get(), prompt);
    auto typed = read_quietly(keyboard.get());
    put(screen.get(), "\n");
    return typed;
  }

  Result<std::string> ask_line(const std::string& prompt) override {
    error(prompt);
    std::string line;
    for (int c = std::fgetc(stdin); c != '\n'; c = std::fgetc(stdin)) {
      if (c == EOF) return fail(Code::kInterrupted, "given up: nothing was changed");
      line.push_back(static_cast<char>(c));
    }
    return line;
  }

  void show_progress(uint64_t done, uint64_t total) override {
    if (::isatty(STDERR_FILENO) != 1) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_draw_) return;
    next_draw_ = now + std::chrono::milliseconds(100);
    drawn_ = true;
    error("\r\033[K" + progress_line(done, total));
  }
  void end_progress() override {
    if (drawn_) error("\r\033[K");
    drawn_ = false;
  }

 private:
  std::chrono::steady_clock::time_point next_draw_{};
  bool drawn_ = false;
};

}  // namespace

std::string progress_line(uint64_t done, uint64_t total) {
  if (total == 0) return fmt::format("{} …", done);
  constexpr size_t kWidth = 40;
  const double share = done >= total ? 1 : static_cast<double>(done) / static_cast<double>(total);
  const auto full = static_cast<size_t>(share * static_cast<double>(kWidth));
  return fmt::format("[{}{}] {:3.0f} %", std::string(full, '#'), std::string(kWidth - full, '.'), share * 100);
}

std::unique_ptr<Console> make_terminal_console() { return std::make_unique<TerminalConsole>(); }

}  // namespace pailfs
