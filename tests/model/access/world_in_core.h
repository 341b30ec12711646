// Builds a world in a core, and asks a core what the kernel would ask it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/identity.h"
#include "expected_answers.h"
#include "support/core_fixture.h"
#include "world.h"

namespace pailfs::test {

struct Told {
  Outcome outcome = Outcome::kOk;
  std::string message;          // of the error
  std::set<std::string> names;  // of a listing
};

class WorldInCore {
 public:
  // With a session of the role for carol.
  explicit WorldInCore(CoreOnMemory& memory);

  // Everything but `world.account`, which is the core's.
  void build(const World& world);
  Told ask(const World& world, const Question& question);

 private:
  class Visit;

  void make(const World& world, size_t directory, const std::string& path);
  void give(Ino ino, const Rights& rights, bool symlink);
  void set_acl(Ino ino, std::string_view name, const std::vector<AclLine>& acl);
  void give_documents(const World& world);
  // Changes a record where it is another one than before.
  void put_identity(IdentityKind kind, const std::string& name, uint32_t number, const nlohmann::json& policy,
                    const nlohmann::json& boundary);
  void put_identities(const World& world);

  CoreOnMemory& memory_;
  std::map<size_t, Ino> inos_;
  std::vector<std::pair<Ino, size_t>> links_;  // second names, which are made last
  std::map<size_t, std::string> older_;        // names of versions
  std::map<std::string, std::string> records_;
};

}  // namespace pailfs::test
