#include "core/denials.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/decision_text.h"
#include "core/impl.h"
#include "core/object_keys.h"
#include "core/path.h"
#include "core/time_text.h"
#include "io/processes.h"

namespace pailfs {

DecisionTrace& Denials::pending() {
  static thread_local DecisionTrace trace;
  return trace;
}

Denials::Process Denials::process_of(uint32_t thread) {
  if (thread == 0) return {};  // of another name space of processes
  const uint32_t pid = process_of_thread(thread).value_or(thread);
  const auto process = process_start(pid);
  return process ? Process{pid, process->start} : Process{thread, 0};
}

// Who is denied again and again is asked about once a second.
Denials::Process Denials::known_process(uint32_t thread, Time monotonic) {
  {
    MutexLock lock(mutex_);
    const auto known = threads_.find(thread);
    if (known != threads_.end() && monotonic - known->second.asked < kThreadTime) return known->second.process;
  }
  const Process process = process_of(thread);
  MutexLock lock(mutex_);
  if (threads_.size() >= kProcesses) threads_.clear();
  threads_[thread] = {process, monotonic};
  return process;
}

// As it is at the moment of the denial. A file with several names is not told by one that the caller may not know.
std::string Denials::path_of(const Caller& caller, Ino ino, const DecisionTrace::Check* check) const {
  const Ino about = check != nullptr && check->ino != 0 ? check->ino : ino;
  const std::string name = check != nullptr ? check->name : std::string();
  std::string path = about == kRootIno && !name.empty() ? std::string() : "/";
  if (about != kRootIno) {
    path = core_.keys->bucket_name(bucket_of(about));
    std::optional<std::string> key;
    if (check != nullptr && !check->keys.empty()) {
      if (check->keys.size() == 1) key = check->keys.front();
    } else if (!is_virtual(about) && about != bucket_root(bucket_of(about))) {
      const auto keys = core_.keys->keys_of(about);
      if (keys && (keys->size() == 1 || (!keys->empty() && caller.uid == 0))) key = keys->front();
    } else {
      key.emplace();
    }
    if (!key) return fmt::format("{}, inode {}", path, about);
    if (!key->empty()) add_name(path, *key);
  }
  if (!name.empty()) add_name(path, name);
  return printable(path);
}

void Denials::note(const Caller& caller, std::string_view call, Ino ino, const Error& error) {
  const DecisionTrace::Check* const check = pending().refusal(error);
  const Time monotonic = core_.store.env().monotonic();
  Denial denial{.key = {caller.uid, known_process(caller.pid, monotonic)},
                .at = core_.now(),
                .monotonic = monotonic,
                .call = std::string(call),
                .path = path_of(caller, ino, check),
                .check = check != nullptr ? std::optional(*check) : std::nullopt,
                .error = error};
  if (denial.path.size() > kLongestPath) {
    denial.path.resize(kLongestPath);
    denial.check.reset();  // it has the path, too
  }
  MutexLock lock(mutex_);
  const auto found = by_process_.find(denial.key);
  if (found != by_process_.end()) {
    denials_.erase(found->second);
    by_process_.erase(found);
  } else if (denials_.size() >= kProcesses) {
    by_process_.erase(denials_.back().key);
    denials_.pop_back();
  }
  const Key key = denial.key;
  denials_.push_front(std::move(denial));
  by_process_[key] = denials_.begin();
}

std::optional<Denials::Denial> Denials::find(const Caller& caller) {
  const Process own = process_of(caller.pid);
  const auto running = process_start(own.pid);
  Process parent;
  if (running && running->parent != 0) parent = process_of(running->parent);
  const Time monotonic = core_.store.env().monotonic();
  MutexLock lock(mutex_);
  for (const Process& process : {own, parent}) {
    if (process.pid == 0) continue;
    const auto found = by_process_.find({caller.uid, process});
    if (found != by_process_.end()) return *found->second;
  }
  for (const Denial& denial : denials_) {
    if (monotonic - denial.monotonic >= kRecent) break;
    if (denial.key.first == caller.uid) return denial;
  }
  return std::nullopt;
}

Result<std::string> Denials::last(const Caller& caller) {
  const auto denial = find(caller);
  if (!denial) return fail(Code::kNoData, "nothing was denied lately");
  const std::string action = denial->check ? fmt::format(" ({})", action_name(denial->check->action)) : std::string();
  const std::string why = denial->check ? decision_text(*denial->check, denial->path) : denial->error.message;
  return fmt::format("{} {} of {}{}: {}\n{}\n", format_time(denial->at), denial->call, denial->path, action,
                     refusal_name(denial->error.code), why);
}

}  // namespace pailfs
