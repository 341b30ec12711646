// What must hold of a damaged store. It is opened, shown, and checked: everything is what it was, or an error; what is
// missing or cannot be read was said, by the opening or by the check; a refusal and a read-only state say which file it
// is.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fault/flips/specimen.h"

namespace pailfs::test {

struct Damage {
  std::string file;  // of the store
  ByteRange bytes;   // of it, which are not what they were
  std::string what;
  std::function<void(MemoryEnv&, const std::string& directory)> inflict;
  // The bytes were once right there: what is shown may be what was shown then.
  bool replayed = false;
};

enum class Outcome {
  kSame,      // everything is shown
  kErrors,    // something cannot be read
  kOlder,     // the log's end was taken for one that a crash tore off
  kReadOnly,  // the store takes no changes
  kRefused,   // it is not opened
};
inline constexpr const char* kOutcomes[] = {"all_shown", "some_unreadable", "tail_cut", "read_only", "refused"};
inline constexpr size_t kOutcomeCount = 5;

struct Verdict {
  Outcome outcome = Outcome::kSame;
  std::vector<std::string> violations;
  bool end_process = false;  // LMDB was abandoned: a new process has to go on
};

// `log`: what was logged since the call began.
Verdict judge(const Specimen& specimen, const Damage& damage, const std::function<std::string()>& log);

}  // namespace pailfs::test
