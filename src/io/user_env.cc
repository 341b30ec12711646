#include "io/user_env.h"

#include <fmt/format.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "io/users.h"

namespace pailfs {

namespace {

constexpr uint32_t kNobody = ~uint32_t{0};  // setfsuid(2) and setfsgid(2) change nothing then, and say what there is

}  // namespace

FileUser AsFileUser::current() {
  FileUser user{static_cast<uint32_t>(::setfsuid(kNobody)), static_cast<uint32_t>(::setfsgid(kNobody)), {}};
  const int count = ::getgroups(0, nullptr);
  user.groups.resize(count > 0 ? static_cast<size_t>(count) : 0);
  const int got = ::getgroups(static_cast<int>(user.groups.size()), user.groups.data());
  user.groups.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return user;
}

namespace {

// Of this thread alone: what the C library calls setgroups() changes all of them. The groups first: whoever is root
// only in part is refused then, and nothing was changed.
bool become(const FileUser& user) {
#ifdef SYS_setgroups32
  const long changed = ::syscall(SYS_setgroups32, user.groups.size(), user.groups.data());
#else
  const long changed = ::syscall(SYS_setgroups, user.groups.size(), user.groups.data());
#endif
  if (changed != 0) return false;
  const bool dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0;
  (void)::setfsgid(user.gid);
  (void)::setfsuid(user.uid);
  // A change of these makes of it what /proc/sys/fs/suid_dumpable says (proc(5)).
  if (!dumpable) (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return static_cast<uint32_t>(::setfsuid(kNobody)) == user.uid &&
         static_cast<uint32_t>(::setfsgid(kNobody)) == user.gid;
}

class UserEnv : public Env {
 public:
  UserEnv(Env& env, FileUser user) : env_(env), user_(std::move(user)) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return as_user([&] { return env_.open(path, mode); });
  }
  Status rename(const std::string& from, const std::string& to) override {
    return as_user([&] { return env_.rename(from, to); });
  }
  Status remove(const std::string& path) override {
    return as_user([&] { return env_.remove(path); });
  }
  Status make_dir(const std::string& path) override {
    return as_user([&] { return env_.make_dir(path); });
  }
  Status sync_dir(const std::string& path) override {
    return as_user([&] { return env_.sync_dir(path); });
  }
  Result<std::vector<std::string>> list_dir(const std::string& path) override {
    return as_user([&] { return env_.list_dir(path); });
  }
  Result<bool> exists(const std::string& path) override {
    return as_user([&] { return env_.exists(path); });
  }
  Result<Space> space(const std::string& path) override {
    return as_user([&] { return env_.space(path); });
  }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    return as_user([&] { return env_.lock_file(path); });
  }
  int64_t now() override { return env_.now(); }
  int64_t monotonic() override { return env_.monotonic(); }
  void random(std::span<char> out) override { env_.random(out); }

 private:
  template <class Call>
  auto as_user(Call call) -> decltype(call()) {
    PAILFS_ASSIGN(const auto as, AsFileUser::begin(user_));
    return call();
  }

  Env& env_;
  const FileUser user_;
};

}  // namespace

Result<FileUser> owner_of_directory(const std::string& directory) {
  struct stat found{};
  if (::lstat(directory.c_str(), &found) != 0) return std::unexpected(system_error(errno, directory));
  FileUser user{found.st_uid, found.st_gid, {}};
  const auto account = system_account(found.st_uid);
  if (account && *account) {
    user.gid = (*account)->gid;
    user.groups = (*account)->groups;
  }
  return user;
}

std::unique_ptr<Env> make_user_env(Env& env, FileUser user) { return std::make_unique<UserEnv>(env, std::move(user)); }

Result<std::unique_ptr<AsFileUser>> AsFileUser::begin(const FileUser& user) {
  std::unique_ptr<AsFileUser> as(new AsFileUser(current()));
  if (become(user)) return as;
  return fail(Code::kNotPermitted, fmt::format("this process may not reach files with the rights of uid {}: it needs "
                                               "CAP_SETUID and CAP_SETGID",
                                               user.uid));
}

AsFileUser::~AsFileUser() {
  if (!become(before_)) std::terminate();  // never go on with the rights of another
}

}  // namespace pailfs
