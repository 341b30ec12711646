// The control socket's client: finds the daemon that serves a store and asks it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "core/core.h"
#include "ctl/protocol.h"
#include "io/env.h"
#include "io/unix_socket.h"

namespace pailfs {

class ControlClient {
 public:
  // Connects to the daemon that serves the store in `directory`. The daemon must run as root, as the caller or as the
  // store's owner: nobody else is given secrets. A daemon that serves another store (a copy with the same UUID) is
  // passed over. kNotFound when no daemon serves it. kAccessDenied when the store cannot be looked into, and no daemon
  // serves it.
  static Result<std::unique_ptr<ControlClient>> connect(Env& env, const std::string& directory);
  // To one socket, without these checks (tests).
  static Result<std::unique_ptr<ControlClient>> connect_socket(const std::string& path);

  // Sends one request and waits for its reply, however long it takes. When `progress` says no, or the connection ends,
  // the daemon stops the operation soon; no further request can be made then. A failure that the daemon reported has
  // its code and message. The arguments may hold secrets: the bytes sent are wiped here, the caller wipes `args`.
  Result<Json> request(std::string_view op, const Json& args, const Progress& progress);

 private:
  explicit ControlClient(std::unique_ptr<UnixConnection> connection);
  std::unique_ptr<UnixConnection> connection_;
  LineReader reader_;
};

// The uid that owns the store directory: the account.
Result<uint32_t> store_owner(const std::string& directory);

}  // namespace pailfs
