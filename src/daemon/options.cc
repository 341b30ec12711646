#include "daemon/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "core/time_text.h"
#include "fuse/session.h"

namespace pailfs {

namespace {

// For the kernel, through libfuse.
constexpr std::array<std::string_view, 12> kGeneralFlags = {
    "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "atime", "noatime", "dirsync", "nodiratime"};
// Read by mount(8), fstab or systemd alone, or the same as doing nothing here.
constexpr std::array<std::string_view, 21> kIgnored = {
    "auto",     "noauto",   "nofail",     "_netdev",  "user",       "nouser",      "users",
    "owner",    "group",    "defaults",   "relatime", "norelatime", "strictatime", "nostrictatime",
    "diratime", "lazytime", "nolazytime", "fsname",   "subtype",    "nonempty",    "rbind"};

constexpr std::string_view kHelp = R"(Options, separated by commas after -o:
  key_file=FILE           the key file that unlocks the store
  passphrase_file=FILE    a file with the passphrase; one newline at its end is no part of it
  recovery_key_file=FILE  a file with a recovery key
                          (none of them: the passphrase is asked for on the terminal)
  allow_other             all users may use the mount; without it only the user who mounts
  default_permissions     the kernel checks mode bits too; guards FIFOs, sockets and devices
  bucket=NAME             mount one bucket as the root
  ro, rw                  mount read-only, or not (default)
  writeback=on|off        gather small writes in the kernel (default on)
  io_uring=auto|off       let requests travel over io_uring where kernel and libfuse can (default auto)
  scrub=RATE|off          read and verify everything now and then, so many bytes a second (default 8M)
  scrub_interval=TIME     how long after one such pass the next begins (default 30d)
  log=FILE|stderr|syslog  where the daemon's log goes (default syslog; with -f standard error)
  log_level=LEVEL         error, warning, info (default) or debug
  dev, suid               allow device files and set-user-id programs; without these, nodev and nosuid hold
  noexec, noatime, sync, dirsync and their opposites, as in mount(8)
See pailfs(8).)";

bool contains(const auto& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

Result<bool> parse_switch(std::string_view name, std::string_view value, std::string_view on) {
  if (value == on) return true;
  if (value == "off") return false;
  return fail(Code::kInvalid, fmt::format("option {}={}: known are {} and off", name, value, on));
}

Result<LogLevel> parse_level(std::string_view value) {
  if (value == "debug") return LogLevel::kDebug;
  if (value == "info") return LogLevel::kInfo;
  if (value == "warning") return LogLevel::kWarning;
  if (value == "error") return LogLevel::kError;
  return fail(Code::kInvalid, fmt::format("option log_level={}: known are error, warning, info and debug", value));
}

// "8M": bytes, with K, M or G for powers of 1024.
Result<uint64_t> parse_size(std::string_view name, std::string_view text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const size_t unit = stop == end ? 0 : std::string_view("KMG").find(*stop) + 1;
  const bool whole = stop == end || (unit != 0 && stop + 1 == end);
  if (error != std::errc() || !whole || value == 0 || value > ~uint64_t{0} >> (10 * unit)) {
    return fail(Code::kInvalid, fmt::format("option {}={}: not a size like 512K, 8M or 1G, nor off", name, text));
  }
  return value << (10 * unit);
}

Status apply_scrub(ScrubOptions& options, const std::string& name, const std::string& value) {
  if (name == "scrub") {
    options.automatic = value != "off";
    if (!options.automatic) return {};
    PAILFS_ASSIGN(options.rate, parse_size(name, value));
    return {};
  }
  auto interval = parse_duration(value);
  if (!interval) return context("option " + name, std::move(interval).error());
  options.interval = *interval;
  return {};
}

// Options with a value.
Status apply_valued(DaemonOptions& options, const std::string& name, const std::string& value) {
  const auto text = [&](std::string& target) -> Status {
    if (value.empty()) return fail(Code::kInvalid, fmt::format("option {}= needs a value", name));
    target = value;
    return {};
  };
  if (name == "key_file") return text(options.key_file);
  if (name == "passphrase_file") return text(options.passphrase_file);
  if (name == "recovery_key_file") return text(options.recovery_key_file);
  if (name == "bucket") return text(options.bucket);
  if (name == "scrub" || name == "scrub_interval") return apply_scrub(options.scrub, name, value);
  if (name == "log") return text(options.log);
  if (name == "log_level") {
    PAILFS_ASSIGN(options.log_level, parse_level(value));
    return {};
  }
  if (name == "writeback") {
    PAILFS_ASSIGN(options.writeback, parse_switch(name, value, "on"));
    return {};
  }
  if (name == "io_uring") {
    PAILFS_ASSIGN(options.io_uring, parse_switch(name, value, "auto"));
    return {};
  }
  if (name == "user" || name == "comment" || name == "fsname" || name == "subtype") return {};
  return fail(Code::kInvalid, fmt::format("unknown option '{}' (pailfs --help lists them)", name));
}

Status apply(DaemonOptions& options, const std::string& option) {
  if (option == "remount") {
    return fail(
        Code::kInvalid,
        "a mounted store is remounted by the kernel alone, without a second daemon: mount -i -o remount,OPTIONS "
        "MOUNTPOINT (OPTIONS: ro, rw, noexec and the like)");
  }
  if (option.starts_with("x-") || option.starts_with("X-")) return {};
  if (const size_t equals = option.find('='); equals != std::string::npos) {
    return apply_valued(options, option.substr(0, equals), option.substr(equals + 1));
  }
  if (option == "allow_other") {
    options.allow_other = true;
  } else if (option == "default_permissions") {
    options.default_permissions = true;
  } else if (option == "ro") {
    options.read_only = true;
  } else if (option == "rw") {
    options.read_only = false;
  } else if (contains(kGeneralFlags, option)) {
    if (option != "nodiratime") options.general_flags.push_back(option);
  } else if (!contains(kIgnored, option)) {
    return fail(Code::kInvalid, fmt::format("unknown option '{}' (pailfs --help lists them)", option));
  }
  return {};
}

struct CommandLine {
  std::string store;
  std::string mountpoint;
  std::vector<std::string> options;
  bool foreground_or_fake = false;
  bool debug = false;
  bool read_only = false;
  bool read_write = false;
  bool version = false;
};

void describe(CLI::App& app, CommandLine& line, bool helper) {
  app.add_option("STORE", line.store, "the directory that holds the store")->type_name("");
  app.add_option("MOUNTPOINT", line.mountpoint, "where to mount it")->type_name("");
  // Each occurrence is one list of its own: commas are split by split_options(), which knows backslashes.
  app.add_option("-o", line.options, "options, separated by commas; see below")
      ->type_name("OPTIONS")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  app.add_flag("-f", line.foreground_or_fake, helper ? "check everything, but do not mount" : "stay in the foreground");
  app.add_flag("-d", line.debug, "stay in the foreground and log every request");
  app.add_flag("-r,--read-only", line.read_only, "the same as -o ro");
  app.add_flag("-w,--rw", line.read_write, "the same as -o rw");
  app.add_flag("-V,--version", line.version, "print the version and leave");
  app.footer(std::string(kHelp));
  if (!helper) return;
  // What mount(8) may pass to a helper and means nothing here.
  static bool ignored = false;
  static std::string ignored_text;
  app.add_flag("-n,-s,-v", ignored, "accepted and ignored");
  app.add_option("-t", ignored_text, "accepted and ignored");
}

}  // namespace

std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> options(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == ',' || text[i + 1] == '\\')) {
      options.back().push_back(text[++i]);
    } else if (text[i] == ',') {
      options.emplace_back();
    } else {
      options.back().push_back(text[i]);
    }
  }
  std::erase(options, "");
  return options;
}

Result<std::variant<DaemonOptions, Answer>> parse_arguments(const std::vector<std::string>& arguments) {
  const std::string program = arguments.empty() ? "pailfs" : std::filesystem::path(arguments[0]).filename().string();
  const bool helper = program.starts_with("mount.");
  CommandLine line;
  CLI::App app("Mounts a pailfs store: encrypted, versioned buckets as directories.", program);
  describe(app, line, helper);
  std::vector<std::string> words(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    return Answer{app.help(), 0};
  } catch (const CLI::ParseError& error) {
    if (!line.version) return fail(Code::kInvalid, fmt::format("{} (pailfs --help shows the usage)", error.what()));
  }
  if (line.version) {
    return Answer{fmt::format("pailfs {} with libfuse {}\n", PAILFS_VERSION, FuseSession::library_version()), 0};
  }
  if (line.store.empty() || line.mountpoint.empty()) {
    return fail(Code::kInvalid, "usage: pailfs STORE MOUNTPOINT [-o OPTIONS] [-f] [-d] (pailfs --help says more)");
  }

  DaemonOptions options;
  options.store = line.store;
  options.mountpoint = line.mountpoint;
  for (const std::string& list : line.options) {
    options.given += (options.given.empty() ? "" : ",") + list;
    for (const std::string& option : split_options(list)) PAILFS_TRY(apply(options, option));
  }
  options.read_only = (options.read_only || line.read_only) && !line.read_write;
  if (helper && line.foreground_or_fake) return Answer{};
  options.trace = line.debug;
  options.foreground = line.foreground_or_fake || line.debug;
  if (line.debug) options.log_level = LogLevel::kDebug;
  const int secrets = !options.key_file.empty() + !options.passphrase_file.empty() + !options.recovery_key_file.empty();
  if (secrets > 1)
    return fail(Code::kInvalid, "only one of key_file, passphrase_file and recovery_key_file can be given");
  return options;
}

}  // namespace pailfs
