// The daemon's log: one line per event, for the person on call. Never pass key bytes or file content.
// spdlog writes it; this header keeps spdlog out of every other one.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace pailfs {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void log_line(LogLevel level, std::string_view line);

// Where lines go: standard error (the default), or syslog under `ident` for a daemon that has detached.
void log_to_stderr();
void log_to_syslog(const char* ident);
void set_log_level(LogLevel lowest);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace pailfs
