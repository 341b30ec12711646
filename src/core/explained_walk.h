// The calls that the kernel makes for an operation, up to where it would change something. Only explain.cc includes
// this.
#pragma once

#include <sys/stat.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/core.h"
#include "core/decision_text.h"
#include "core/explain.h"
#include "core/path.h"

namespace pailfs {

// The system calls, one after the other, as the kernel makes them of a path. After the first that fails nothing happens
// any more.
class Walk {
 public:
  struct Place {
    Ino parent = 0;
    std::string name;
    std::string path;
    std::optional<Attributes> found;  // nothing: there is no such name
  };
  enum class Links { kFollow, kStay };

  Walk(Core& core, const Caller& caller, bool tells_all) : core_(core), caller_(caller), tells_all_(tells_all) {}
  ~Walk() {
    for (const Ino ino : references_) core_.forget(ino, 1);
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // Makes a call and writes it down. True: it passed its checks.
  bool step(std::string_view call, const std::string& path, const std::function<Status()>& make,
            Code no_failure = Code::kInterrupted) {
    DecisionTrace trace;
    trace.only_explains = true;
    Status made;
    {
      const TracedDecisions on(trace);
      made = make();
    }
    const bool allowed = made || trace.allowed || made.error().code == no_failure;
    ExplainedStep& out = steps_.emplace_back();
    out.call = call;
    out.path = printable(path.empty() ? "/" : path);
    if (!allowed) out.refused = made.error();
    const DecisionTrace::Check* deciding = nullptr;
    if (!allowed) {
      deciding = trace.refusal(made.error());
    } else {
      for (const DecisionTrace::Check& check : trace.checks) {
        if (!check.refused) deciding = &check;
      }
    }
    if (deciding != nullptr) {
      out.why = decision_text(*deciding, path_of(*deciding, out.path));
    } else {
      out.why = allowed ? "nothing is asked" : made.error().message;
    }
    if (!trace.principal.empty()) principal_ = trace.principal;
    hidden_ = !allowed && deciding != nullptr;
    if (tells_all_) out.checks = std::move(trace.checks);
    return allowed;
  }

  // Looks a path up. nullopt: the calls ended before its last name.
  std::optional<Place> find(const std::string& path, Links links) {
    std::vector<std::string> names = split_path(path);
    std::deque<std::string> rest(names.begin(), names.end());
    Place at{.parent = kRootIno, .name = {}, .path = {}, .found = std::nullopt};
    at.found.emplace();
    at.found->ino = kRootIno;
    at.found->mode = S_IFDIR;
    paths_[kRootIno] = "/";
    for (int followed = 0; !rest.empty();) {
      if (!at.found) return std::nullopt;
      if (at.path.size() > kLongestPath || steps_.size() > kMostSteps) {
        return ended("lookup", at.path.substr(0, kLongestPath), Code::kNameTooLong, "the path is too long");
      }
      const Place above = at;
      if (!enter(above, rest.front(), at)) {
        // What is missing may be made, if it is the last name.
        const bool missing = steps_.back().refused->code == Code::kNotFound && rest.size() == 1;
        if (!missing) return std::nullopt;
        return at;
      }
      rest.pop_front();
      const bool follows = S_ISLNK(at.found->mode) && (!rest.empty() || links == Links::kFollow);
      if (!follows) continue;
      if (++followed > kMaxLinks) return ended("lookup", at.path, Code::kLoop, "too many symbolic links");
      if (!follow(above, at, rest)) return std::nullopt;
    }
    return at;
  }

  std::optional<Place> existing(const std::string& path, Links links) {
    auto place = find(path, links);
    return place && place->found ? place : std::nullopt;
  }

  std::nullopt_t ended(std::string_view call, const std::string& path, Code code, const std::string& why) {
    step(call, path, [&]() -> Status { return fail(code, why); });
    return std::nullopt;
  }

  Core& core() { return core_; }
  const Caller& caller() const { return caller_; }
  bool tells_all() const { return tells_all_; }

  Explanation explanation() {
    Explanation out;
    out.principal = principal_;
    out.refused = steps_.back().refused;
    out.allowed = !out.refused;
    out.denied = out.refused &&
                 (out.refused->code == Code::kAccessDenied || out.refused->code == Code::kNotPermitted || hidden_);
    out.reason = steps_.back().why;
    out.steps = std::move(steps_);
    return out;
  }

 private:
  static constexpr int kMaxLinks = 40;  // path_resolution(7)
  static constexpr size_t kMostSteps = 1024;

  bool enter(const Place& above, const std::string& name, Place& at) {
    at = {.parent = above.found.value_or(Attributes{}).ino, .name = name, .path = above.path, .found = {}};
    add_name(at.path, name);
    return step("lookup", at.path, [&]() -> Status {
      PAILFS_ASSIGN(at.found, core_.lookup(caller_, at.parent, name));
      references_.push_back(at.found->ino);
      paths_[at.found->ino] = printable(at.path);
      return {};
    });
  }

  bool follow(const Place& above, Place& link, std::deque<std::string>& rest) {
    std::string target;
    const bool read = step("readlink", link.path, [&]() -> Status {
      PAILFS_ASSIGN(target, core_.readlink(caller_, link.found->ino));
      if (target.starts_with('/')) {
        return fail(Code::kNotSupported, "an absolute symbolic link: explain the path that it leads to");
      }
      return {};
    });
    if (!read) return false;
    const std::vector<std::string> names = split_path(target);
    rest.insert(rest.begin(), names.begin(), names.end());
    link = above;
    return true;
  }

  std::string path_of(const DecisionTrace::Check& check, const std::string& otherwise) const {
    const auto found = paths_.find(check.ino);
    return found != paths_.end() ? found->second : otherwise;
  }

  Core& core_;
  const Caller& caller_;
  const bool tells_all_;
  std::vector<ExplainedStep> steps_;
  std::vector<Ino> references_;
  std::map<Ino, std::string> paths_;
  std::string principal_;
  bool hidden_ = false;  // the last step: the gate refused it, whatever the code
};

}  // namespace pailfs
