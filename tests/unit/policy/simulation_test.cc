// Cases in JSON.
#include "policy/simulation.h"

#include <gmock/gmock.h>

#include "policy_fixture.h"

namespace pailfs::policy::test {
namespace {

using testing::HasSubstr;

using Members = std::vector<std::pair<std::string, std::string>>;

// A case whose members are these, and else those of alice, who is allowed to read.
std::string case_with(Members members = {}, const std::string& id = "1") {
  const Members others = {
      {"account", "'111122223333'"},
      {"principal", "{'type':'user','name':'alice','arn':'arn:aws:iam::111122223333:user/alice','groups':[]}"},
      {"identity_policies", "[{'Statement':{'Effect':'Allow','Action':'s3:*','Resource':'*'}}]"},
      {"boundary", "null"},
      {"bucket_policy", "null"},
      {"request", "{'action':'s3:GetObject','resource':'arn:aws:s3:::b/k','context':{}}"}};
  for (const auto& other : others) {
    const bool given = std::ranges::any_of(members, [&](const auto& member) { return member.first == other.first; });
    if (!given) members.push_back(other);
  }
  std::string out = "{'id':" + id;
  for (const auto& [name, value] : members) out += ",'" + name + "':" + value;
  return json(out + "}");
}

TEST(SimulationTest, EchoesTheId) {
  Simulator simulator;
  const auto echoed = [&](const std::string& id) { return simulator.run(case_with({{"x", "1"}}, id)).output; };
  EXPECT_EQ(echoed("1"), R"({"id":1,"decision":"Allow"})");
  EXPECT_EQ(echoed("1.50e3"), R"({"id":1.50e3,"decision":"Allow"})");
  EXPECT_EQ(echoed("'a\\u00e9\\\\b c'"), R"({"id":"a\u00e9\\b c","decision":"Allow"})");
  EXPECT_EQ(echoed("{ 'a' : [ 1, 'x : y' ] }"), R"({"id":{"a":[1,"x : y"]},"decision":"Allow"})");
  EXPECT_EQ(echoed("null"), R"({"id":null,"decision":"Allow"})");
  EXPECT_EQ(echoed("123456789012345678901234567890"), R"({"id":123456789012345678901234567890,"decision":"Allow"})");
  EXPECT_EQ(simulator.run("{}").output, R"({"id":null,"decision":"Invalid"})");
}

TEST(SimulationTest, Decides) {
  Simulator simulator;
  const auto decision = [&](const std::string& member, const std::string& value) {
    const auto simulated = simulator.run(case_with({{member, value}}));
    EXPECT_EQ(simulated.problem, "") << member << value;
    return simulated.output.substr(8);
  };
  EXPECT_EQ(decision("identity_policies", "[]"), R"("decision":"ImplicitDeny"})");
  EXPECT_EQ(decision("identity_policies", "null"), R"("decision":"ImplicitDeny"})");
  EXPECT_EQ(decision("bucket_policy", "{'Statement':{'Effect':'Deny','Principal':'*','Action':'*','Resource':'*'}}"),
            R"("decision":"ExplicitDeny"})");
  EXPECT_EQ(decision("boundary", "{'Statement':{'Effect':'Allow','Action':'s3:Put*','Resource':'*'}}"),
            R"("decision":"ImplicitDeny"})");
  EXPECT_EQ(decision("boundary", "{'Statement':{'Effect':'Allow','Action':'s3:Put*'}}"), R"("decision":"Invalid"})");
  EXPECT_EQ(decision("boundary", "7"), R"("decision":"Invalid"})");
  EXPECT_EQ(decision("identity_policies", "['{}']"), R"("decision":"Invalid"})");
  EXPECT_EQ(decision("principal", "{'type':'anonymous','name':null,'arn':null}"), R"("decision":"ImplicitDeny"})");
}

TEST(SimulationTest, SaysWhichDocumentIsRefused) {
  Simulator simulator;
  const auto simulated = simulator.run(case_with(
      {{"identity_policies", "[{'Statement':{'Effect':'Allow','Action':'*','Resource':'*'}},{'Statment':1}]"}}));
  EXPECT_EQ(simulated.refusal,
            "identity policy 2: line 1, column 2: unknown element \"Statment\"; did you mean \"Statement\"?");
  // Twice the same member: the library's own tree would hide it.
  EXPECT_THAT(simulator
                  .run(case_with(
                      {{"boundary", "{'Statement':{'Effect':'Deny','Effect':'Allow','Action':'*','Resource':'*'}}"}}))
                  .refusal,
              HasSubstr("\"Effect\" is there twice"));
}

TEST(SimulationTest, ADocumentIsJudgedByItsPlace) {
  Simulator simulator;
  const std::string identity = "{'Statement':{'Effect':'Allow','Action':'s3:*','Resource':'*'}}";
  EXPECT_THAT(simulator.run(case_with({{"identity_policies", "[" + identity + "]"}})).output, HasSubstr("Allow"));
  EXPECT_THAT(simulator.run(case_with({{"bucket_policy", identity}})).output, HasSubstr("Invalid"));
  EXPECT_THAT(simulator.run(case_with({{"boundary", identity}})).output, HasSubstr("Allow"));
}

TEST(SimulationTest, ContextValues) {
  Simulator simulator;
  const auto decision = [&](const std::string& condition, const std::string& context) {
    const std::string policy =
        "[{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':" + condition + "}}]";
    const std::string request = "{'action':'s3:GetObject','resource':'arn:aws:s3:::b/k','context':" + context + "}";
    const auto simulated = simulator.run(case_with({{"identity_policies", policy}, {"request", request}}));
    return simulated.problem.empty() ? simulated.output.substr(20) : simulated.problem;
  };
  EXPECT_EQ(decision("{'NumericLessThan':{'s3:max-keys':10}}", "{'s3:max-keys':[5]}"), "Allow\"}");
  EXPECT_EQ(decision("{'NumericLessThan':{'s3:max-keys':10}}", "{'S3:MAX-KEYS':['5']}"), "Allow\"}");
  EXPECT_EQ(decision("{'Bool':{'aws:SecureTransport':true}}", "{'aws:SecureTransport':[true]}"), "Allow\"}");
  EXPECT_EQ(decision("{'Null':{'aws:x':true}}", "{'aws:x':[]}"), "Allow\"}");
  EXPECT_EQ(decision("{'Null':{'aws:x':false}}", "{'aws:x':'alone'}"), "Allow\"}");
  EXPECT_EQ(decision("{'Null':{'aws:username':true}}", "{'aws:username':['alice']}"), "ImplicitDeny\"}");
  EXPECT_THAT(decision("{}", "{'aws:x':[{}]}"), HasSubstr("a value of the context is a string"));
}

TEST(SimulationTest, ALineThatIsNoCase) {
  Simulator simulator;
  const auto problem = [&](const std::string& line) {
    const auto simulated = simulator.run(line);
    EXPECT_THAT(simulated.output, HasSubstr("\"decision\":\"Invalid\"}"));
    return simulated.problem;
  };
  EXPECT_THAT(problem("nonsense"), HasSubstr("not JSON"));
  EXPECT_THAT(problem("[]"), HasSubstr("a case is an object"));
  EXPECT_THAT(problem("{\"id\":1}"), HasSubstr("the member \"principal\" is missing"));
  EXPECT_THAT(problem(case_with({{"account", "'1'"}})), HasSubstr("twelve digits"));
  EXPECT_THAT(problem(case_with({{"account", "7"}})), HasSubstr("is a string, and not a number"));
  EXPECT_THAT(problem(case_with({{"principal", "{'type':'usr','name':'a'}"}})), HasSubstr("did you mean \"user\"?"));
  EXPECT_THAT(problem(case_with({{"principal", "{'type':'user','name':'a','arn':null}"}})),
              HasSubstr("not the ARN of a principal"));
  EXPECT_THAT(
      problem(case_with({{"principal", "{'type':'root','name':'a','arn':'arn:aws:iam::111122223333:user/a'}"}})),
      HasSubstr("does not fit the type"));
  EXPECT_THAT(problem(case_with({{"identity_policies", "{}"}})), HasSubstr("identity_policies is a list"));
  EXPECT_THAT(problem(std::string(100, '[')), HasSubstr("nested more than"));
  EXPECT_EQ(simulator.run(case_with()).problem, "");
}

}  // namespace
}  // namespace pailfs::policy::test
