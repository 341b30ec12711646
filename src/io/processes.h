// What proc(5) says of other processes. All of it may be old when it is read: a process can end at any time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pailfs {

struct ProcessStart {
  uint32_t parent = 0;   // pid; 0: none that is visible here
  uint32_t group = 0;    // process group; 0: none that is visible here
  uint64_t start = 0;    // in clock ticks after boot: with the pid it names a process for good
  bool stopped = false;  // by a signal (SIGSTOP, SIGTSTP) or a debugger
};
// nullopt: there is no such process.
std::optional<ProcessStart> process_start(uint32_t pid);

// The process that a thread belongs to: itself, for its first thread. nullopt: there is no such thread.
std::optional<uint32_t> process_of_thread(uint32_t tid);

// The program that it runs; empty: not known, also where it is in another user namespace, whose mounts anybody may have
// made.
std::string process_executable(uint32_t pid);

// The control groups that it is in, but for the roots of their hierarchies: paths below these, without a slash in
// front. nullopt: not known.
std::optional<std::vector<std::string>> process_cgroups(uint32_t pid);

}  // namespace pailfs
