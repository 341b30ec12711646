// From a path to what it stands or stood for, as `pail versions` and its like name things. The way there is that of
// .versions: of the bucket's directory, or of one that is there and may be looked up.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/history.h"
#include "core/path.h"

namespace pailfs {

Status may_enter_versions(Core::Impl& core, const Caller& caller, Ino root) {
  PAILFS_ASSIGN(const InodePtr inode, core.existing(root));
  ReaderLock lock(inode->lock);
  return core.check_directory(caller, *inode, {});
}

namespace {

// Who may not look names up in .versions on the way may do so in the directories that there are.
Status add_looked_up(Core::Impl& core, const Caller& caller, const std::vector<DirectorySpan>& directories,
                     const std::vector<DirectorySpan>& open, const std::string& name, std::vector<NameSpan>& spans) {
  for (const DirectorySpan& directory : directories) {
    const bool seen = std::ranges::any_of(open, [&](const DirectorySpan& one) { return one.ino == directory.ino; });
    if (seen || directory.end != kForever) continue;
    const Result<InodePtr> inode = core.inodes.get(directory.ino);
    if (!inode && inode.error().code == Code::kNotFound) continue;
    if (!inode) return std::unexpected(inode.error());
    {
      ReaderLock lock((*inode)->lock);
      if (!core.check_directory(caller, **inode, name)) continue;
    }
    PAILFS_ASSIGN(const auto all, name_spans(core, {directory}, name));
    if (!all.empty() && all.back().live() && S_ISDIR(all.back().type)) spans.push_back(all.back());
  }
  return {};
}

}  // namespace

Result<std::vector<NameSpan>> spans_of(Core::Impl& core, const Caller& caller, Ino root, std::string_view path,
                                       bool lists) {
  const std::vector<std::string> names = split_path(path);
  if (names.empty()) return fail(Code::kInvalid, "name a file in the bucket");
  PAILFS_TRY(may_enter_versions(core, caller, root));
  DirectorySpan top;
  top.ino = root;
  std::vector<DirectorySpan> directories{top};
  std::vector<NameSpan> spans;
  std::string above;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool last = i + 1 == names.size();
    PAILFS_ASSIGN(auto open, permitted(core, caller, directories, Need::kSearch, above));
    if (lists && last) {
      PAILFS_ASSIGN(open, permitted(core, caller, open, Need::kRead, above));
    }
    const bool closed = open.empty() && !directories.empty();
    if (closed && last) return fail(Code::kAccessDenied, "access denied");
    PAILFS_ASSIGN(spans, name_spans(core, open, names[i]));
    if (!last) PAILFS_TRY(add_looked_up(core, caller, directories, open, names[i], spans));
    if (closed && spans.empty()) return fail(Code::kAccessDenied, "access denied");
    add_name(above, names[i]);
    directories = directories_of(spans);
  }
  if (spans.empty()) return fail(Code::kNotFound, fmt::format("nothing in the bucket is or was called {}", path));
  return spans;
}

Result<ShownVersion> version_of(Core::Impl& core, const std::vector<NameSpan>& spans, std::string_view path,
                                std::string_view version) {
  PAILFS_ASSIGN(auto shown, shown_versions(core, spans));
  for (ShownVersion& one : shown) {
    const std::string id = id_text(one);
    if (one.name == version || id == version) return std::move(one);
  }
  return fail(Code::kNotFound, fmt::format("{} has no version {} ('pail versions list' names those there are)", path,
                                           printable(version)));
}

}  // namespace pailfs
