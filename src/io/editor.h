// A text that the user edits with a program of his own.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace pailfs {

// A file in the directory for temporary files that only this user can read; it goes with the object.
class EditedFile {
 public:
  static Result<std::unique_ptr<EditedFile>> make(std::string_view text, std::string_view name_end);
  ~EditedFile();
  EditedFile(const EditedFile&) = delete;
  EditedFile& operator=(const EditedFile&) = delete;
  const std::string& path() const { return path_; }
  // Runs what VISUAL or EDITOR say, else vi, and waits for it. kInterrupted where that fails.
  Status edit() const;

 private:
  explicit EditedFile(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace pailfs
