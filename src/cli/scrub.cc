// What was found lost: `pail scrub`, and the lines of `pail status` about it.
#include "cli/scrub.h"

#include <fmt/format.h>

#include "cli/session.h"

namespace pailfs::cli {
namespace {

struct ScrubCommand {
  std::string path;
  bool now = false;
};

std::string bytes_member(const Json& text) { return json_to_bytes(text).value_or("?"); }

std::string lost_line(const Json& lost) {
  std::string out;
  for (const Json& path : object_member(lost, "paths")) out += (out.empty() ? "" : " = ") + bytes_member(path);
  if (const std::string version = text_member(lost, "version"); !version.empty()) {
    out += fmt::format(", {}version {}", flag_member(lost, "current") ? "current " : "", version);
  }
  if (const uint64_t bytes = number_member(lost, "bytes"); bytes > 0) out += fmt::format(", {}", human_size(bytes));
  return fmt::format("{}{}{}", out, out.empty() ? "" : ": ", text_member(lost, "why"));
}

std::string pass_line(const Json& scrub) {
  const std::string completed = text_member(scrub, "completed");
  std::string before = completed.empty() ? "there was no complete pass yet"
                                         : fmt::format("the last complete pass ended {} ({} read)", completed,
                                                       human_size(number_member(scrub, "completed_bytes")));
  if (flag_member(scrub, "running")) {
    const uint64_t verified = number_member(scrub, "verified_bytes");
    const uint64_t expected = std::max<uint64_t>(number_member(scrub, "expected_bytes"), 1);
    return fmt::format("a pass since {}, {} of about {} read; {}", text_member(scrub, "begun"), human_size(verified),
                       human_size(expected), before);
  }
  if (!scrub.contains("automatic") || flag_member(scrub, "automatic")) return before;
  return fmt::format("off; {}", before);
}

int run(Invocation& invocation, const ScrubCommand& command) {
  const auto place = choose(invocation.common, command.path);
  if (!place) return invocation.failed(place.error());
  const auto result = request_once(invocation, place->store, Access::kRead, "scrub", {{"now", command.now}});
  if (!result) return invocation.failed(result.error());
  const ExitStatus exit_status = number_member(*result, "lost_count") == 0 ? kExitOk : kExitProblems;
  if (invocation.printed_json(*result)) return exit_status;
  if (command.now) {
    invocation.line("A pass is under way; `pail scrub` and `pail status` say how far it is.");
  }
  invocation.console.out(scrub_lines(*result, ~size_t{0}));
  return exit_status;
}

}  // namespace

std::string scrub_lines(const Json& scrub, size_t at_most) {
  std::string out = fmt::format("scrub      {}\n", pass_line(scrub));
  const uint64_t count = number_member(scrub, "lost_count");
  const Json& objects = object_member(scrub, "lost");
  size_t shown = 0;
  for (const Json& lost : objects) {
    if (shown >= at_most) break;
    out += fmt::format("lost       {}\n", lost_line(lost));
    ++shown;
  }
  if (count > shown) {
    out += shown == 0
               ? fmt::format("lost       {}; their names are for the owner of the store\n", count_of(count, "object"))
               : fmt::format("lost       … and {} more: see `pail scrub`\n", count - shown);
  }
  return out;
}

void add_scrub(CLI::App& app, Invocation& invocation) {
  auto command = std::make_shared<ScrubCommand>();
  CLI::App* const leaf =
      invocation.command(app, "scrub", "Say what the daemon's scrub found lost; exit status 1 if there is anything",
                         [&invocation, command] { return run(invocation, *command); });
  leaf->add_option("PATH", command->path, "A path on the mount, or the store's directory (default: here)");
  leaf->add_flag("--now", command->now, "Begin a pass now, where none is under way");
}

}  // namespace pailfs::cli
