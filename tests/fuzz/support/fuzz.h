// What the fuzz targets share. An input is taken apart with Decoder (base/codec.h): past its end everything is zero or
// empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/codec.h"

// Of libFuzzer, or of support/replay_main.cc.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// Before the first input, for all targets: the log is silent.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace pailfs::test {

// Ends the process, so that libFuzzer keeps the input: something that must always hold does not.
[[noreturn]] void fuzz_failed(const char* condition, const char* file, int line, std::string_view detail = {});

inline std::string_view input_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// All that is left.
inline std::string_view rest_of(Decoder& in) { return in.raw(in.remaining()); }

}  // namespace pailfs::test

#define FUZZ_CHECK(condition, ...)                                                                            \
  do {                                                                                                        \
    if (!(condition)) ::pailfs::test::fuzz_failed(#condition, __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__); \
  } while (0)
