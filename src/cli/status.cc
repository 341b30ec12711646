#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/scrub.h"
#include "cli/session.h"
#include "core/time_text.h"
#include "store/superblock.h"

namespace pailfs::cli {
namespace {

constexpr size_t kLostShown = 10;

struct StatusOptions {
  std::string path;
};
struct CheckOptions {
  std::string path;
  bool deep = false;
};

// What can be said of a store that no daemon serves and that nobody has unlocked.
Result<Json> locked_status(const std::string& directory) {
  PAILFS_ASSIGN(const Superblock superblock, read_superblock(posix_env(), directory));
  return Json{
      {"store",
       {{"uuid", superblock.uuid}, {"format", superblock.format}, {"created", format_time(superblock.created)}}},
      {"daemon", nullptr}};
}

Result<Json> fetch_status(Invocation& invocation, const std::string& directory) {
  auto client = ControlClient::connect(posix_env(), directory);
  if (client) return (*client)->request("status", Json::object(), {});
  if (client.error().code != Code::kNotFound) return std::unexpected(std::move(client).error());
  if (!invocation.common.has_secret()) return locked_status(directory);
  return request_once(invocation, directory, Access::kRead, "status", Json::object());
}

std::string daemon_lines(const Json& daemon) {
  std::string out = fmt::format("state      mounted on {}, process {} (pailfs {}, libfuse {}), up {}\n",
                                text_member(daemon, "mountpoint"), number_member(daemon, "pid"),
                                text_member(daemon, "version"), text_member(daemon, "libfuse"),
                                human_duration(static_cast<int64_t>(number_member(daemon, "uptime_seconds"))));
  if (const std::string bucket = text_member(daemon, "bucket"); !bucket.empty()) {
    out += fmt::format("bucket     {} is the root of the mount\n", bucket);
  }
  if (const std::string options = text_member(daemon, "options"); !options.empty()) {
    out += fmt::format("options    {}\n", options);
  }
  return out + fmt::format("transport  {}\nentries    kept by the kernel: {}\n", text_member(daemon, "transport"),
                           text_member(daemon, "entry_caching"));
}

std::string store_lines(const Json& store) {
  std::string out;
  if (flag_member(store, "read_only")) {
    out += fmt::format("read-only  {}\n", text_member(store, "read_only_reason"));
  }
  if (const std::string until = text_member(store, "times_ahead_until"); !until.empty()) {
    out += fmt::format(
        "times      ahead of the clock until {}: name moments by their times, not by how long ago they were\n"
        "           (pailfs-semantics(7), CLOCKS AND TIMES)\n",
        until);
  }
  if (!store.contains("log_bytes")) {
    return out + "           give --key-file or --passphrase-file to see more\n";
  }
  out += fmt::format("log        {} in {}, {} of it to be given back\n", human_size(number_member(store, "log_bytes")),
                     count_of(number_member(store, "segments"), "segment"),
                     human_size(number_member(store, "dead_bytes")));
  out += fmt::format(
      "index      {}, and {} in memory; its copy {}{}\n", human_size(number_member(store, "index_bytes")),
      human_size(number_member(store, "memtable_bytes")), human_size(number_member(store, "index_copy_bytes")),
      flag_member(store, "index_copy_whole") ? "" : ", not whole yet");
  if (store.contains("space")) {
    const Json& space = object_member(store, "space");
    out += fmt::format("room       {} left of {}\n", human_size(number_member(space, "available")),
                       human_size(number_member(space, "total")));
    if (flag_member(space, "refused")) {
      out += fmt::format("           content is refused until {} are free on the disk below the store\n",
                         human_size(number_member(space, "needed")));
    }
  }
  out += fmt::format("changes    {}, of these {} durable\n", number_member(store, "sequence"),
                     number_member(store, "durable_sequence"));
  const Json& recovery = object_member(store, "recovery");
  if (flag_member(recovery, "torn")) {
    out += fmt::format("recovery   the last run ended without a shutdown; {} that were never synced are gone\n",
                       human_size(number_member(recovery, "lost_bytes")));
  }
  return out;
}

int status(Invocation& invocation, const StatusOptions& options) {
  auto place = choose(invocation.common, options.path);
  if (!place) return invocation.failed(place.error());
  auto result = fetch_status(invocation, place->store);
  if (!result) return invocation.failed(result.error());
  (*result)["directory"] = bytes_to_json(place->store);
  // Asked for where nobody serves the store: it costs a living daemon a request, and waits for one that hangs.
  const bool served = !object_member(*result, "daemon").empty();
  const auto dead = served ? std::vector<std::string>() : dead_mounts(place->store);
  for (const std::string& mountpoint : dead) (*result)["dead_mounts"].push_back(bytes_to_json(mountpoint));
  if (invocation.printed_json(*result)) return kExitOk;
  const Json& store = object_member(*result, "store");
  const Json& daemon = object_member(*result, "daemon");
  std::string out = fmt::format("store      {}\nuuid       {}\n", place->store, text_member(store, "uuid"));
  out += daemon.empty() ? "state      no daemon serves it\n" : daemon_lines(daemon);
  for (const std::string& mountpoint : dead) out += fmt::format("           {}\n", dead_mount_text(mountpoint));
  out += store_lines(store);
  if (const Json& scrub = object_member(store, "scrub"); !scrub.empty()) out += scrub_lines(scrub, kLostShown);
  std::string requests;
  for (const auto& [name, count] : object_member(daemon, "requests").items()) {
    if (!count.is_number_unsigned()) continue;
    requests += fmt::format("{}{} {}", requests.empty() ? "" : ", ", name, count.get<uint64_t>());
  }
  if (!requests.empty()) out += fmt::format("requests   {}\n", requests);
  invocation.console.out(out);
  return kExitOk;
}

int check(Invocation& invocation, const CheckOptions& options) {
  auto place = choose(invocation.common, options.path);
  if (!place) return invocation.failed(place.error());
  auto result = request_once(invocation, place->store, Access::kRead, "check", {{"deep", options.deep}});
  if (!result) return invocation.failed(result.error());
  const uint64_t problems = number_member(*result, "problem_count");
  const ExitStatus exit_status = problems == 0 ? kExitOk : kExitProblems;
  if (invocation.printed_json(*result)) return exit_status;
  const Json& listed = object_member(*result, "problems");
  for (const Json& problem : listed) {
    std::string path;
    if (problem.is_object() && problem.contains("path")) path = json_to_bytes(problem["path"]).value_or("");
    if (const std::string version = text_member(problem, "version"); !version.empty()) path += " version " + version;
    invocation.line(path.empty() ? text_member(problem, "what")
                                 : fmt::format("{}: {}", path, text_member(problem, "what")));
  }
  if (problems > listed.size()) invocation.line(fmt::format("… and {} more", problems - listed.size()));
  invocation.line(fmt::format("{}, {}, {}; {} of content {}", count_of(number_member(*result, "files"), "file"),
                              count_of(number_member(*result, "directories"), "directory"),
                              count_of(number_member(*result, "versions"), "version"),
                              human_size(number_member(*result, "bytes")),
                              options.deep ? "read and verified" : "looked up"));
  if (const uint64_t lost = number_member(*result, "lost_bytes"); lost > 0) {
    invocation.line(
        fmt::format("{} are marked as lost by an earlier repair: reading them is an error.", human_size(lost)));
  }
  if (const uint64_t room = number_member(*result, "unreferenced_bytes"); room > 0) {
    invocation.line(fmt::format("{} of the log belong to nothing, as after a crash: 'pail repair' gives them back.",
                                human_size(room)));
  }
  invocation.line(problems == 0 ? "No damage found." : fmt::format("{} found.", count_of(problems, "problem")));
  return exit_status;
}

}  // namespace

void add_status_and_check(CLI::App& app, Invocation& invocation) {
  auto status_options = std::make_shared<StatusOptions>();
  invocation
      .command(app, "status", "Say how a store and its daemon do",
               [&invocation, status_options] { return status(invocation, *status_options); })
      ->add_option("PATH", status_options->path, "A path on the mount, or the store's directory (default: here)");
  auto check_options = std::make_shared<CheckOptions>();
  CLI::App* const leaf = invocation.command(app, "check", "Look for damage; exit status 1 if there is any",
                                            [&invocation, check_options] { return check(invocation, *check_options); });
  leaf->add_option("PATH", check_options->path, "A path on the mount, or the store's directory (default: here)");
  leaf->add_flag("--deep", check_options->deep, "Also read and verify all content");
}

}  // namespace pailfs::cli
