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

void RoleSessions::drop_ended(Sessions& sessions, Time monotonic) {
  std::erase_if(sessions, [&](const RoleSessionPtr& it) { return monotonic >= it->ends || !lives(*it); });
}

void RoleSessions::count() {
  std::erase_if(by_uid_, [](const auto& entry) { return entry.second.empty(); });
  count_.store(by_uid_.size(), std::memory_order_release);
}

bool RoleSessions::add(RoleSession session, Time monotonic) {
  MutexLock lock(mutex_);
  Sessions& sessions = by_uid_[session.uid];
  drop_ended(sessions, monotonic);
  std::erase_if(sessions, [&](const RoleSessionPtr& it) { return it->pid == session.pid; });
  const bool room = sessions.size() < kMaxPerUser;
  if (room) sessions.push_back(std::make_shared<const RoleSession>(std::move(session)));
  count();
  return room;
}

void RoleSessions::remove(uint32_t pid, uint32_t uid) {
  MutexLock lock(mutex_);
  const auto found = by_uid_.find(uid);
  if (found == by_uid_.end()) return;
  std::erase_if(found->second, [&](const RoleSessionPtr& it) { return it->pid == pid; });
  count();
}

Result<RoleSessionPtr> RoleSessions::of(uint32_t tid, uint32_t uid, Time monotonic) {
  Sessions sessions;
  {
    MutexLock lock(mutex_);
    const auto found = by_uid_.find(uid);
    if (found == by_uid_.end()) return nullptr;
    if (std::ranges::any_of(found->second, [&](const RoleSessionPtr& it) { return monotonic >= it->ends; })) {
      drop_ended(found->second, monotonic);
    }
    sessions = found->second;
    count();
  }
  if (sessions.empty()) return nullptr;
  const auto unseen = [] { return fail(Code::kNotFound, "the process cannot be seen from here, or has ended"); };
  const auto first = process_of_thread(tid);
  if (tid == 0 || !first) return unseen();
  uint32_t pid = *first;
  for (int steps = 0; pid != 0; ++steps) {
    const auto process = process_start(pid);
    if (!process || steps == kMaxAncestors) return unseen();
    for (const RoleSessionPtr& session : sessions) {
      if (session->pid == pid && session->process_start == process->start) return session;
    }
    pid = process->parent;
  }
  return nullptr;
}

}  // namespace pailfs
