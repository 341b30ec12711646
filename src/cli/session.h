// A store to work on: through the daemon that serves it, or opened here when none does. Only src/cli includes this.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/invocation.h"
#include "core/core.h"
#include "ctl/client.h"
#include "ctl/location.h"
#include "store/store.h"

namespace pailfs::cli {

// Which store a command means, and which path in it.
struct Place {
  std::string store;  // directory, absolute
  std::optional<std::string>
      inside;              // the path on its mount, for Session's mount_path; absent when not told by a mount
  std::string mountpoint;  // of that one
};
// --store if given, the mount below `path` if given, the mount below the current directory otherwise.
Result<Place> choose_store(const CommonOptions& common, const std::optional<std::string>& path);
// The same where `path`, which may be empty, is a path on a mount or the directory of a store.
Result<Place> choose(const CommonOptions& common, const std::string& path);

// Absolute, without . and .. and symbolic links where it exists.
std::string absolute_path(const std::string& path);

enum class Access { kRead, kChange };

class Session {
 public:
  // Asks for a passphrase on the terminal when the store has to be opened here and no option names a secret.
  static Result<std::unique_ptr<Session>> open(Invocation& invocation, const std::string& store, Access access);
  ~Session();

  // Runs one operation (ctl/commands.h), with a bar on the terminal. When opened here, what it changed is durable only
  // after close().
  Result<Json> request(std::string_view op, const Json& args);
  // Must be called after the last request.
  Status close();

 private:
  explicit Session(Invocation& invocation) : invocation_(invocation) {}
  Result<Json> run_here(std::string_view op, const Json& args, const Progress& progress);

  Invocation& invocation_;
  std::unique_ptr<ControlClient> client_;  // null when opened here
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;  // on store_
};

// The common course: open, one request, close.
Result<Json> request_once(Invocation& invocation, const std::string& store, Access access, std::string_view op,
                          const Json& args);

// The secret that the common options name; nullopt when they name none.
Result<std::optional<UnlockSecret>> secret_from_options(Invocation& invocation);
// The same, or a passphrase that is asked for. kWrongKey without a terminal.
Result<UnlockSecret> secret_or_ask(Invocation& invocation, const std::string& store);
// kNotPermitted unless this process runs as the store's owner: files that another uid makes in the store would shut him
// out.
Status check_owner(const std::string& store);
// The same where a store is to be made: who owns the directory, if it is there.
Status check_future_owner(const std::string& directory);

}  // namespace pailfs::cli
