// QR codes for a terminal.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace pailfs::cli {

// Lines of half blocks, two rows of the code in each, in colours of its own so that it reads on any terminal.
Result<std::string> terminal_qr(std::string_view text);

}  // namespace pailfs::cli
