#include "io/memory_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string_view>
#include <utility>

namespace pailfs {

namespace {

using Slot = std::pair<const MemoryNode*, std::string>;

Result<std::vector<std::string>> components(const std::string& path) {
  std::vector<std::string> out;
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view name = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (name == "..") return fail(Code::kInvalid, fmt::format("{}: .. is not understood here", path));
    if (name.size() > 255) return fail(Code::kNameTooLong, path);
    if (!name.empty() && name != ".") out.emplace_back(name);
  }
  return out;
}

Result<MemoryNodePtr> entry(const MemoryNodePtr& directory, const std::string& name, const std::string& path) {
  if (!directory->is_directory) return fail(Code::kNotDirectory, fmt::format("{}: not a directory", path));
  const auto it = directory->names.find(name);
  if (it == directory->names.end()) return fail(Code::kNotFound, fmt::format("{}: no such file or directory", path));
  return it->second;
}

void set_name(MemoryNames& names, const std::string& name, const MemoryNodePtr& node) {
  if (node == nullptr) {
    names.erase(name);
  } else {
    names[name] = node;
  }
}

bool lies_below(const MemoryNodePtr& node, const MemoryNodePtr& top) {
  if (node == top) return true;
  return std::ranges::any_of(top->names, [&](const auto& item) { return lies_below(node, item.second); });
}

}  // namespace

Result<MemoryNodePtr> MemoryTree::find(const std::string& path) const {
  PAILFS_ASSIGN(const auto names, components(path));
  MemoryNodePtr node = root_;
  for (const std::string& name : names) {
    PAILFS_ASSIGN(node, entry(node, name, path));
  }
  return node;
}

Result<MemoryTree::Place> MemoryTree::place_of(const std::string& path) const {
  PAILFS_ASSIGN(auto names, components(path));
  if (names.empty()) return fail(Code::kBusy, fmt::format("{}: is the root", path));
  MemoryNodePtr node = root_;
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    PAILFS_ASSIGN(node, entry(node, names[i], path));
  }
  if (!node->is_directory) return fail(Code::kNotDirectory, fmt::format("{}: not a directory", path));
  return Place{.directory = node, .name = names.back()};
}

void MemoryTree::perform(Step step) {
  for (const NameChange& change : step) set_name(change.place.directory->names, change.place.name, change.node);
  pending_.push_back(std::move(step));
}

Result<MemoryNodePtr> MemoryTree::create(const std::string& path, bool directory) {
  PAILFS_ASSIGN(Place place, place_of(path));
  if (place.directory->names.contains(place.name)) return fail(Code::kExists, fmt::format("{}: exists", path));
  auto node = std::make_shared<MemoryNode>(directory);
  perform({{.place = std::move(place), .node = node}});
  return node;
}

Result<MemoryNodePtr> MemoryTree::remove(const std::string& path) {
  PAILFS_ASSIGN(Place place, place_of(path));
  PAILFS_ASSIGN(MemoryNodePtr node, entry(place.directory, place.name, path));
  if (!node->names.empty()) return fail(Code::kNotEmpty, fmt::format("{}: directory not empty", path));
  perform({{.place = std::move(place), .node = nullptr}});
  return node;
}

Result<MemoryNodePtr> MemoryTree::rename(const std::string& from, const std::string& to) {
  PAILFS_ASSIGN(Place source, place_of(from));
  PAILFS_ASSIGN(const MemoryNodePtr node, entry(source.directory, source.name, from));
  PAILFS_ASSIGN(Place target, place_of(to));
  if (lies_below(target.directory, node)) {
    return fail(Code::kInvalid, fmt::format("renaming {} to {}: into itself", from, to));
  }
  MemoryNodePtr replaced;
  if (const auto it = target.directory->names.find(target.name); it != target.directory->names.end()) {
    replaced = it->second;
  }
  if (replaced == node) return MemoryNodePtr();
  if (replaced != nullptr) {
    if (node->is_directory && !replaced->is_directory)
      return fail(Code::kNotDirectory, fmt::format("{}: is a file", to));
    if (!node->is_directory && replaced->is_directory) return fail(Code::kIsDirectory, fmt::format("{}: is one", to));
    if (!replaced->names.empty()) return fail(Code::kNotEmpty, fmt::format("{}: directory not empty", to));
  }
  perform({{.place = std::move(source), .node = nullptr}, {.place = std::move(target), .node = node}});
  return replaced;
}

bool MemoryTree::touches(const Step& step, const MemoryNodePtr& directory) {
  return std::ranges::any_of(step, [&](const NameChange& change) { return change.place.directory == directory; });
}

bool MemoryTree::spans_directories(const Step& step) {
  return step.size() > 1 && step.front().place.directory != step.back().place.directory;
}

Status MemoryTree::sync_directory(const std::string& path) {
  PAILFS_ASSIGN(const MemoryNodePtr directory, find(path));
  if (!directory->is_directory) return fail(Code::kNotDirectory, fmt::format("{}: not a directory", path));
  // From the newest step back, so that every step finds what later ones need of it: steps on the same names come in
  // order, and a move into a new directory needs that directory, or else what was moved would be nowhere.
  std::vector<bool> needed(pending_.size());
  std::set<Slot> slots;
  std::set<const MemoryNode*> nodes;
  for (size_t i = pending_.size(); i-- > 0;) {
    const Step& step = pending_[i];
    needed[i] =
        touches(step, directory) || std::ranges::any_of(step, [&](const NameChange& change) {
          return slots.contains({change.place.directory.get(), change.place.name}) || nodes.contains(change.node.get());
        });
    if (!needed[i]) continue;
    for (const NameChange& change : step) {
      slots.insert({change.place.directory.get(), change.place.name});
      if (spans_directories(step)) nodes.insert(change.place.directory.get());
    }
  }
  std::vector<Step> rest;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (!needed[i]) {
      rest.push_back(std::move(pending_[i]));
      continue;
    }
    for (const NameChange& change : pending_[i]) {
      set_name(change.place.directory->durable_names, change.place.name, change.node);
    }
  }
  pending_ = std::move(rest);
  return {};
}

std::map<const MemoryNode*, MemoryNames> MemoryTree::names_after_crash(const CrashPolicy& policy,
                                                                       std::mt19937_64& random) const {
  std::map<const MemoryNode*, MemoryNames> out;
  if (policy.names == Unsynced::kDrop) return out;
  const auto reached = [&](size_t i) {
    if (policy.names == Unsynced::kChosen) return i < policy.landed_names.size() && policy.landed_names[i];
    return policy.names == Unsynced::kKeep || random() % 2 == 0;
  };
  // A step that did not land holds back what depends on it: the same rules as in sync_directory().
  std::set<Slot> blocked;
  std::set<const MemoryNode*> missing;
  for (size_t i = 0; i < pending_.size(); ++i) {
    const Step& step = pending_[i];
    const bool stopped = std::ranges::any_of(step, [&](const NameChange& change) {
      return blocked.contains({change.place.directory.get(), change.place.name}) ||
             (spans_directories(step) && missing.contains(change.place.directory.get()));
    });
    const bool lands = !stopped && reached(i);
    for (const NameChange& change : step) {
      const MemoryNode* directory = change.place.directory.get();
      if (lands) {
        set_name(out.try_emplace(directory, directory->durable_names).first->second, change.place.name, change.node);
      } else {
        blocked.insert({directory, change.place.name});
        if (change.node != nullptr && !spans_directories(step)) missing.insert(change.node.get());
      }
    }
  }
  return out;
}

uint64_t MemoryTree::unsynced_data() const {
  const std::function<uint64_t(const MemoryNode&)> count = [&](const MemoryNode& node) {
    uint64_t sum = node.data.unsynced_changes();
    for (const auto& [name, child] : node.names) sum += count(*child);
    return sum;
  };
  return count(*root_);
}

MemoryTree MemoryTree::after_crash(const CrashPolicy& policy) const {
  std::mt19937_64 random(policy.seed);
  const auto changed = names_after_crash(policy, random);
  auto next = policy.landed_data.begin();
  const auto landed_in = [&](const MemoryFileData& file) {
    const auto here =
        std::min<uint64_t>(file.unsynced_changes(), static_cast<uint64_t>(policy.landed_data.end() - next));
    const auto begin = std::exchange(next, next + static_cast<std::ptrdiff_t>(here));
    return std::vector<bool>(begin, next);
  };
  const std::function<MemoryNodePtr(const MemoryNode&)> copy = [&](const MemoryNode& node) {
    auto out = std::make_shared<MemoryNode>(node.is_directory);
    if (!node.is_directory) {
      out->data = MemoryFileData(node.data.after_crash(policy.data, random, landed_in(node.data)));
      return out;
    }
    const auto it = changed.find(&node);
    for (const auto& [name, child] : it == changed.end() ? node.durable_names : it->second) {
      out->names.emplace(name, copy(*child));
    }
    out->durable_names = out->names;
    return out;
  };
  return MemoryTree(copy(*root_));
}

uint64_t MemoryTree::blocks() const {
  const std::function<uint64_t(const MemoryNode&)> count = [&](const MemoryNode& node) {
    uint64_t sum = node.data.current().blocks();
    for (const auto& [name, child] : node.names) sum += count(*child);
    return sum;
  };
  return count(*root_);
}

}  // namespace pailfs
