#include "fault/flips/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "fault/core/lmdb_medium.h"
#include "support/tree_dump.h"

namespace pailfs::test {

namespace {

class Judge {
 public:
  Judge(const Specimen& specimen, const Damage& damage, const std::function<std::string()>& log)
      : specimen_(specimen), damage_(damage), log_(log) {}

  Verdict run() {
    const auto memory = specimen_.copy();
    damage_.inflict(*memory, specimen_.directory);
    LmdbMedium medium(*memory, specimen_.directory);
    auto begun = Life::begin(medium, specimen_.directory);
    if (!begun) {
      verdict_.outcome = Outcome::kRefused;
      refused(begun.error());
    } else {
      opened(**begun);
      if (damage_.file.starts_with("index/")) go_on(**begun);
    }
    return std::move(verdict_);
  }

 private:
  void violation(std::string what) { verdict_.violations.push_back(std::move(what)); }

  void refused(const Error& error) {
    if (error.code != Code::kCorrupt && error.code != Code::kTooNew && error.code != Code::kWrongKey &&
        error.code != Code::kNotFound) {
      violation(fmt::format("refused as {}: {}", code_name(error.code), error.message));
    }
    if (!names_the_file(error.message)) violation("refused without naming the file: " + error.message);
  }

  bool names_the_file(const std::string& text) const {
    const std::string& file = damage_.file;
    if (file.starts_with("index/"))
      return text.contains("/index") || text.contains("index of ") || text.contains("the index is");
    const size_t begin = file.rfind('/') + 1;
    return text.contains(file.substr(begin, file.rfind('.') > begin ? file.rfind('.') - begin : std::string::npos));
  }

  void opened(Life& life) {
    const StoreStatus status = life.store().status();
    if (status.read_only) {
      verdict_.outcome = Outcome::kReadOnly;
      said_ = true;
      if (!names_the_file(status.read_only_reason)) {
        violation("read-only without naming the file: " + status.read_only_reason);
      }
    } else if (status.recovery.torn || ends_at_the_cut(status.recovery.cut)) {
      verdict_.outcome = Outcome::kOlder;
      said_ = true;
    }
    const auto checked = life.core().check(true, nullptr);
    said_ = said_ || !checked || checked->problem_count > 0;
    if (!checked && checked.error().message.empty()) violation("the check ends without a word");
    const auto state = specimen_.states.find(life.recovered());
    if (state == specimen_.states.end()) {
      violation(fmt::format("the log ends at transaction {}, where no frame did", life.recovered()));
    } else {
      if (state != std::prev(specimen_.states.end()) && !said_)
        violation("the log's end is missing, and nothing says so");
      compare(state->second, Shown(dump_tree(life.core())));
    }
    if (!said_ && specimen_.needs(damage_.file, damage_.bytes))
      violation("needed bytes are damaged, and nothing says so");
    if (damage_.file.starts_with("keyring")) keyring_is_whole(life);
  }

  // A log that is cut off where a frame ends is one to which later frames never came: nobody can tell.
  bool ends_at_the_cut(Position end) const {
    const bool cut = damage_.bytes.begin < damage_.bytes.end && damage_.what.starts_with("cut off");
    return cut && damage_.file == fmt::format("log/{:016x}.seg", end.segment) && damage_.bytes.begin == end.offset;
  }

  // A damaged copy of the keyring is written anew, with a word.
  void keyring_is_whole(Life& life) {
    Env& env = life.store().env();
    const auto first = env.read_file(specimen_.directory + "/keyring.0", 1 << 20);
    const auto second = env.read_file(specimen_.directory + "/keyring.1", 1 << 20);
    const bool whole = first && second && *first == *second;
    if (whole && !log_().contains("keyring")) violation("the keyring was written anew, and nothing says so");
    // Outside of what is signed there is a line's end.
    if (!whole && damage_.bytes.end != specimen_.file(damage_.file).bytes.size())
      violation("the keyring stays damaged");
  }

  void compare(const Shown& expected, const Shown& shown) {
    std::string missing;
    for (const auto& [path, blocks] : shown.paths) {
      const auto was = expected.paths.find(path);
      if (was == expected.paths.end()) {
        // The root itself is shown only where it cannot be listed.
        if (!path.empty()) violation(path + " was never there");
        continue;
      }
      for (const Shown::Block& block : blocks) {
        if (block.failed || std::ranges::find(was->second, block.text, &Shown::Block::text) != was->second.end())
          continue;
        if (damage_.replayed && shown_once(path, block.text)) continue;
        if (lacks_attributes(block.text, was->second)) {
          missing += " attributes of " + path;
          continue;
        }
        violation(fmt::format("not what it was: {}expected {}", block.text, was->second.front().text));
      }
    }
    for (const auto& [path, blocks] : expected.paths) {
      const auto now = shown.paths.find(path);
      if (now == shown.paths.end() || now->second.size() < blocks.size()) missing += " " + path;
    }
    if (!missing.empty() && !said_) violation("missing, and nothing says so:" + missing);
    if (!shown.errors.empty() && !said_)
      violation("cannot be read, and the check says nothing: " + shown.errors.front());
    for (const std::string& line : shown.errors) {
      const std::string code = line.substr(line.rfind(": ") + 2);
      if (code != code_name(Code::kCorrupt) && code != code_name(Code::kIo))
        violation("another error than damage: " + line);
    }
    const bool less = !missing.empty() || !shown.errors.empty();
    if (verdict_.outcome == Outcome::kSame && less) verdict_.outcome = Outcome::kErrors;
  }

  // Nothing but extended attributes is missing.
  static bool lacks_attributes(const std::string& text, const std::vector<Shown::Block>& were) {
    return std::ranges::any_of(were, [&](const Shown::Block& was) {
      std::string rest;
      for (size_t at = 0; at < was.text.size();) {
        const size_t end = was.text.find('\n', at) + 1;
        const std::string line = was.text.substr(at, end - at);
        if (!line.starts_with("  user.") || text.contains(line)) rest += line;
        at = end;
      }
      return rest == text;
    });
  }

  bool shown_once(const std::string& path, const std::string& text) const {
    return std::ranges::any_of(specimen_.states, [&](const auto& state) {
      const auto was = state.second.paths.find(path);
      return was != state.second.paths.end() &&
             std::ranges::find(was->second, text, &Shown::Block::text) != was->second.end();
    });
  }

  // With an index whose pages are damaged, changes may fail; nothing else may happen.
  void go_on(Life& life) {
    const Status made = life.create("bucket/e/after", pattern("after", 3000));
    const Status kept = life.store().checkpoint();
    (void)made;
    (void)dump_tree(life.core());
    if (!kept) verdict_.end_process = true;
  }

  const Specimen& specimen_;
  const Damage& damage_;
  const std::function<std::string()>& log_;
  Verdict verdict_;
  bool said_ = false;
};

}  // namespace

Verdict judge(const Specimen& specimen, const Damage& damage, const std::function<std::string()>& log) {
  return Judge(specimen, damage, log).run();
}

}  // namespace pailfs::test
