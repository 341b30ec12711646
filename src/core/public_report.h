// What is public in a bucket: `pail public`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pailfs {

struct PublicReport {
  uint8_t own = 0;       // the bucket's switches of Block Public Access (public_access.h)
  uint8_t in_force = 0;  // with the store's
  bool has_policy = false;
  bool policy_readable = true;
  std::string public_statement;  // the first that makes the policy public, as messages name it; empty: it is not
  // Of those that have a name, how many there are, and how many give something to the public by mode or ACL.
  uint64_t objects = 0, directories = 0;  // the bucket itself is one of its directories
  uint64_t public_objects = 0, public_directories = 0;
  struct Place {
    std::string path;  // in the bucket; empty: the bucket itself
    bool directory = false;
    uint32_t mode = 0;           // 07777
    uint32_t others = 0;         // r 4, w 2, x 1
    uint32_t authenticated = 0;  // the same, by an ACL, for everybody with a login
  };
  static constexpr size_t kPlaces = 10;
  std::vector<Place> places;  // the first kPlaces of these, in the order in which they were made
};

}  // namespace pailfs
