#include "fuzz/support/fuzz.h"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>

#include "base/logging.h"

namespace pailfs::test {

void fuzz_failed(const char* condition, const char* file, int line, std::string_view detail) {
  std::fprintf(stderr, "%s:%d: does not hold: %s %.*s\n", file, line, condition, static_cast<int>(detail.size()),
               detail.data());
  std::abort();
}

}  // namespace pailfs::test

// What is said of damaged input is right and of no interest here.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  pailfs::log_to_stderr();
  spdlog::default_logger_raw()->set_level(spdlog::level::off);
  return 0;
}
