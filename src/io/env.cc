#include "io/env.h"

#include <fmt/format.h>

#include <algorithm>

namespace pailfs {

namespace {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status write_new(Env& env, const std::string& path, std::string_view content) {
  PAILFS_ASSIGN(const auto file, env.open(path, OpenMode::kCreate));
  PAILFS_TRY(file->write_at(0, content));
  return file->sync_data();
}

}  // namespace

Result<std::string> Env::read_file(const std::string& path, size_t limit) {
  PAILFS_ASSIGN(const auto file, open(path, OpenMode::kRead));
  PAILFS_ASSIGN(const uint64_t size, file->size());
  std::string out;
  // One byte more than there should be, so that the end of the file is seen in one read. Files of /proc say size 0.
  out.resize(std::min<uint64_t>(std::max<uint64_t>(size, 4095), limit) + 1);
  size_t filled = 0;
  while (true) {
    PAILFS_ASSIGN(const size_t n, file->read_at(filled, std::span(out).subspan(filled)));
    filled += n;
    if (filled < out.size()) break;
    if (filled > limit) return fail(Code::kTooBig, fmt::format("{} is larger than {} bytes", path, limit));
    out.resize(std::min(limit, out.size() * 2) + 1);
  }
  out.resize(filled);
  return out;
}

Status Env::replace_file(const std::string& path, std::string_view content) {
  // A fixed name: what a crash leaves behind is cleared by the next replacement.
  const std::string temporary = path + ".new";
  if (auto removed = remove(temporary); !removed && removed.error().code != Code::kNotFound) return removed;
  Status done = write_new(*this, temporary, content);
  if (done) done = rename(temporary, path);
  if (!done) {
    (void)remove(temporary);  // the first error is the one to tell
    return done;
  }
  return sync_dir(directory_of(path));
}

std::string Env::random_bytes(size_t n) {
  std::string out(n, '\0');
  random(out);
  return out;
}

}  // namespace pailfs
