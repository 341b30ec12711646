#include "core/role_sessions.h"

#include <algorithm>

#include "io/processes.h"

namespace pailfs {

namespace {

constexpr int kMaxAncestors = 1024;

bool lives(const RoleSession& session) {
  const auto process = process_start(session.pid);
  return process && process->start == session.process_start;
}

}  // namespace

void RoleSessions::drop_ended(Time monotonic) {
  std::erase_if(sessions_, [&](const RoleSessionPtr& it) { return monotonic >= it->ends || !lives(*it); });
  count_.store(sessions_.size(), std::memory_order_release);
}

void RoleSessions::add(RoleSession session, Time monotonic) {
  MutexLock lock(mutex_);
  drop_ended(monotonic);
  std::erase_if(sessions_, [&](const RoleSessionPtr& it) { return it->pid == session.pid; });
  sessions_.push_back(std::make_shared<const RoleSession>(std::move(session)));
  count_.store(sessions_.size(), std::memory_order_release);
}

void RoleSessions::remove(uint32_t pid) {
  MutexLock lock(mutex_);
  std::erase_if(sessions_, [&](const RoleSessionPtr& it) { return it->pid == pid; });
  count_.store(sessions_.size(), std::memory_order_release);
}

RoleSessionPtr RoleSessions::of(uint32_t pid, uint32_t uid, Time monotonic) {
  std::vector<RoleSessionPtr> sessions;
  {
    MutexLock lock(mutex_);
    if (std::ranges::any_of(sessions_, [&](const RoleSessionPtr& it) { return monotonic >= it->ends; })) {
      drop_ended(monotonic);
    }
    sessions = sessions_;
  }
  std::erase_if(sessions, [&](const RoleSessionPtr& it) { return it->uid != uid; });
  if (sessions.empty()) return nullptr;
  for (int steps = 0; pid != 0 && steps < kMaxAncestors; ++steps) {
    const auto process = process_start(pid);
    if (!process) return nullptr;
    for (const RoleSessionPtr& session : sessions) {
      if (session->pid == pid && session->process_start == process->start) return session;
    }
    pid = process->parent;
  }
  return nullptr;
}

}  // namespace pailfs
