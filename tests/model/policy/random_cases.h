// Cases for the comparison of src/policy with the reference: small sets of names, so that they meet.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace pailfs::test {

class RandomCases {
 public:
  explicit RandomCases(uint64_t seed) : random_(seed) {}

  nlohmann::json next();
  // A valid document of one of the three places.
  nlohmann::json document(bool of_bucket);
  nlohmann::json statement(bool of_bucket);
  // Breaks a document in one of many ways; says how.
  std::string spoil(nlohmann::json& document, bool of_bucket);

  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  const std::string& pick(std::span<const std::string> from) { return from[below(from.size())]; }
  nlohmann::json any_document(bool of_bucket);
  nlohmann::json one_or_list(const std::function<nlohmann::json()>& make);
  nlohmann::json principal_element();
  nlohmann::json condition();
  nlohmann::json condition_values(const std::string& base, std::string& key);
  nlohmann::json principal();
  nlohmann::json context();

  std::mt19937_64 random_;
};

}  // namespace pailfs::test
