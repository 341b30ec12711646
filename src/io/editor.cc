#include "io/editor.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace pailfs {

namespace {

std::unexpected<Error> failed(int error, std::string_view doing) { return std::unexpected(system_error(error, doing)); }

}  // namespace

Result<std::unique_ptr<EditedFile>> EditedFile::make(std::string_view text, std::string_view name_end) {
  std::error_code none;
  std::string path = (std::filesystem::temp_directory_path(none) / fmt::format("pail-XXXXXX{}", name_end)).string();
  const int fd = ::mkstemps(path.data(), static_cast<int>(name_end.size()));
  if (fd < 0) return failed(errno, "cannot make a file to edit");
  std::unique_ptr<EditedFile> file(new EditedFile(path));
  const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = whole ? EIO : errno;
  if (::close(fd) != 0 || !whole) return failed(error, "cannot write " + path);
  return file;
}

EditedFile::~EditedFile() { ::unlink(path_.c_str()); }

// These may be commands with arguments: the shell takes them apart.
Status EditedFile::edit() const {
  std::string shell = "sh", option = "-c", script = "${VISUAL:-${EDITOR:-vi}} \"$1\"", name = "pail", file = path_;
  std::array<char*, 6> arguments{shell.data(), option.data(), script.data(), name.data(), file.data(), nullptr};
  pid_t child = 0;
  if (const int error = ::posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments.data(), environ); error != 0) {
    return failed(error, "cannot start the editor");
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return failed(errno, "cannot wait for the editor");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(Code::kInterrupted, "the editor failed: nothing was changed");
}

}  // namespace pailfs
