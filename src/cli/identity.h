// What the commands of identities and of managed policies share. Only src/cli includes this.
#pragma once

#include <string>
#include <string_view>

#include "cli/invocation.h"
#include "cli/session.h"

namespace pailfs::cli {

Result<Json> ask_identities(Invocation& invocation, Access access, std::string_view op, const Json& args);
// Runs identity.change and prints `done`, or the reply as JSON. A refused document is `file`'s, where there is one.
// Returns the exit status.
int change_identity(Invocation& invocation, const std::string& kind, const std::string& name, Json args,
                    const std::string& done, const std::string& file);
// Strings and numbers of a list.
std::string joined_texts(const Json& list, std::string_view between);

}  // namespace pailfs::cli
