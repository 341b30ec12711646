// Makes up worlds and questions. What policies are about follows the questions, so that they meet.
#pragma once

#include <random>
#include <span>
#include <string>
#include <vector>

#include "world.h"

namespace pailfs::test {

class RandomWorld {
 public:
  explicit RandomWorld(uint64_t seed) : random_(seed) {}

  World world(std::string bucket, std::string account);
  Question question(const World& world);
  // Last, as they are about the questions.
  void give_policies(World& world, const std::vector<Question>& questions);

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }
  Rights rights(Kind kind);
  std::vector<AclLine> acl(uint32_t& mode);
  size_t add(World& world, size_t directory, const std::string& name, Kind kind);
  Asker asker();

  // Where a question goes.
  struct Target {
    std::vector<std::string> directory;
    std::string name;
    size_t thing = 0, parent = 0;
  };
  std::vector<Target> targets(const World& world);
  bool exchanges(const World& world, const Target& target, Question& question);
  bool fits(const World& world, Operation operation, const Target& target) const;

  nlohmann::json document(const World& world, const std::vector<Question>& questions, bool of_bucket);
  nlohmann::json statement(const World& world, const Question& about, bool of_bucket);
  nlohmann::json principal(const World& world, const Asker& asker);
  nlohmann::json condition(const World& world, const Question& about);
  std::string resource(const World& world, const Question& about);
  std::string prefix(const Question& about);

  std::mt19937_64 random_;
};

}  // namespace pailfs::test
