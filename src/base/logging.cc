#include "base/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

namespace pailfs {

namespace {
spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> stderr_logger() {
  auto logger = std::make_shared<spdlog::logger>("pailfs", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e pailfs[%P] %l: %v");
  logger->flush_on(spdlog::level::debug);
  return logger;
}

// Ours, to stderr unless another place was chosen before: also who sets the level first needs it.
spdlog::logger& logger() {
  static const bool initialised = [] {
    if (spdlog::default_logger_raw()->name() != "pailfs") spdlog::set_default_logger(stderr_logger());
    return true;
  }();
  (void)initialised;
  return *spdlog::default_logger_raw();
}
}  // namespace

void log_line(LogLevel level, std::string_view line) { logger().log(to_spdlog(level), line); }

void log_to_stderr() { spdlog::set_default_logger(stderr_logger()); }

void log_to_syslog(const char* ident) {
  auto sink = std::make_shared<spdlog::sinks::syslog_sink_mt>(ident, LOG_PID, LOG_DAEMON, false);
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("pailfs", std::move(sink)));
}

void set_log_level(LogLevel lowest) { logger().set_level(to_spdlog(lowest)); }

}  // namespace pailfs
