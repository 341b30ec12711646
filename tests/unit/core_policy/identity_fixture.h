// Identities of a store in memory, changed as the core does it, and documents for them.
#pragma once

#include <string>

#include "core/identities.h"
#include "support/core_fixture.h"

namespace pailfs::test {

inline StoredPolicyPtr compiled(policy::DocumentKind kind, std::string text) {
  policy::DocumentRules rules;
  rules.kind = kind;
  rules.storing = true;
  auto policy = compile_policy(std::move(text), rules);
  EXPECT_TRUE(policy) << (policy ? "" : policy.error().message);
  return policy ? *policy : nullptr;
}
inline StoredPolicyPtr allows(const std::string& key = "*") {
  return compiled(policy::DocumentKind::kIdentity,
                  R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",)"
                  R"("Resource":"arn:aws:s3:::bucket/)" +
                      key + R"("}})");
}
// What stands in a record and cannot be read.
inline StoredPolicyPtr no_policy() {
  auto out = std::make_shared<StoredPolicy>();
  out->text = "{}";
  return out;
}
inline StoredPolicyPtr trusts() {
  return compiled(policy::DocumentKind::kTrust,
                  R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole",)"
                  R"("Principal":{"AWS":"111122223333"}}})");
}

inline Identity identity_of(IdentityKind kind, const std::string& name) {
  Identity out;
  out.kind = kind;
  out.name = name;
  if (kind == IdentityKind::kRole) {
    out.trust = trusts();
    out.max_session = 3600;
  }
  if (kind == IdentityKind::kService) out.cgroups = {"a/b"};
  if (kind == IdentityKind::kManagedPolicy) {
    out.versions[1] = {7, allows()};
    out.default_version = 1;
  }
  return out;
}

class IdentitiesTest : public CoreTest {
 protected:
  IdentitiesTest() : identities(*store) { EXPECT_OK(identities.load()); }

  Status change(IdentityKind kind, const std::string& name, const Identities::Change& change) {
    PAILFS_ASSIGN(std::optional<Identity> after, identities.changed(kind, name, change));
    Transaction tx;
    identities.write(kind, name, after, tx);
    EXPECT_OK(store->commit(std::move(tx)));
    identities.set({{{kind, name}, std::move(after)}});
    return {};
  }
  // Made anew, or changed, by `with`.
  Status put(IdentityKind kind, const std::string& name, const std::function<void(Identity&)>& with = {}) {
    return change(kind, name, [&](std::optional<Identity> identity) -> Result<std::optional<Identity>> {
      if (!identity) identity = identity_of(kind, name);
      if (with) with(*identity);
      return identity;
    });
  }
  Status remove(IdentityKind kind, const std::string& name) {
    return change(kind, name,
                  [](const std::optional<Identity>&) -> Result<std::optional<Identity>> { return std::nullopt; });
  }

  Identities identities;
};

}  // namespace pailfs::test
