// `pail policy`: validate, lint, simulate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/cli.h"
#include "fake_console.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const char* const kIdentity =
    "{\"Version\": \"2012-10-17\",\n \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", "
    "\"Resource\": \"*\"}}";
const char* const kBucket =
    R"({"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]})";

std::string one_case(const std::string& id, const std::string& policy) {
  return R"({"id":)" + id +
         R"(,"account":"111122223333","principal":{"type":"user","name":"alice","arn":"arn:aws:iam::111122223333:user/alice"},)"
         R"("identity_policies":[)" +
         policy + R"(],"request":{"action":"s3:GetObject","resource":"arn:aws:s3:::b/k","context":{}}})";
}
std::string on_one_line(std::string text) {
  std::erase(text, '\n');
  return text;
}

class PolicyCommandTest : public testing::Test {
 protected:
  int pail(std::vector<std::string> arguments) {
    console_.output.clear();
    console_.errors.clear();
    arguments.insert(arguments.begin(), "policy");
    return run_pail(arguments, console_);
  }
  std::string file(const std::string& name, std::string_view content) {
    std::ofstream(directory_ / name, std::ios::binary) << content;
    return directory_ / name;
  }
  // With `input` on standard input.
  int pail_fed(std::vector<std::string> arguments, const std::string& input) {
    std::ios::sync_with_stdio(false);  // as `simulate` does, which would put another buffer there
    std::istringstream in(input);
    std::streambuf* const before = std::cin.rdbuf(in.rdbuf());
    std::cin.clear();
    const int status = pail(std::move(arguments));
    std::cin.rdbuf(before);
    return status;
  }

  test::TemporaryDirectory directory_;
  FakeConsole console_;
};

TEST_F(PolicyCommandTest, ValidatesByTheLookOfTheDocument) {
  EXPECT_EQ(pail({"validate", file("i.json", kIdentity)}), kExitOk) << console_.errors;
  EXPECT_THAT(console_.output, HasSubstr("i.json: a valid identity policy, 1 statement\n"));
  EXPECT_EQ(pail({"validate", file("b.json", kBucket)}), kExitOk);
  EXPECT_THAT(console_.output, HasSubstr("a valid bucket policy"));
  EXPECT_EQ(pail({"validate", "--type", "boundary", directory_ / "i.json"}), kExitOk);
  EXPECT_THAT(console_.output, HasSubstr("a valid permissions boundary"));
  EXPECT_EQ(pail({"validate", "--type", "identity", directory_ / "b.json"}), kExitProblems);
  EXPECT_EQ(pail({"validate", "--bucket", "b", directory_ / "b.json"}), kExitOk);
  EXPECT_EQ(pail({"validate", "--bucket", "c", directory_ / "b.json"}), kExitProblems);
  EXPECT_THAT(console_.errors, HasSubstr("not of the policy's bucket"));
  EXPECT_EQ(pail_fed({"validate", "-"}, kIdentity), kExitOk);
}

TEST_F(PolicyCommandTest, SaysWhereADocumentIsWrong) {
  const std::string wrong = file("w.json", "{\n  \"Statement\": {\"Effect\": \"Alow\"}\n}");
  EXPECT_EQ(pail({"validate", wrong}), kExitProblems);
  EXPECT_THAT(console_.errors, HasSubstr("w.json:2:27: the Effect is \"Allow\" or \"Deny\"; did you mean \"Allow\"?"));
  EXPECT_EQ(pail({"validate", wrong, "--json"}), kExitProblems);
  const auto answer = nlohmann::json::parse(console_.output);
  EXPECT_EQ(answer["valid"], false);
  EXPECT_EQ(answer["refusal"]["line"], 2);
  EXPECT_EQ(answer["refusal"]["column"], 27);
  const std::string unknown = file(
      "u.json",
      R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"true"}}}})");
  EXPECT_EQ(pail({"validate", unknown}), kExitProblems);
  EXPECT_EQ(pail({"validate", "--accept-unknown-keys", unknown}), kExitOk);
}

TEST_F(PolicyCommandTest, LintsWhatIsValid) {
  EXPECT_EQ(pail({"lint", file("i.json", kIdentity)}), kExitOk);
  EXPECT_EQ(console_.output, "");
  EXPECT_EQ(pail({"lint", file("b.json", kBucket)}), kExitProblems);
  EXPECT_THAT(console_.output, HasSubstr("b.json:1:33: public: this is for everybody"));
  EXPECT_EQ(pail({"lint", "--json", directory_ / "b.json"}), kExitProblems);
  EXPECT_EQ(nlohmann::json::parse(console_.output)["findings"][0]["column"], 33);
}

TEST_F(PolicyCommandTest, SimulatesLineByLine) {
  const std::string identity = on_one_line(kIdentity);
  const std::string cases =
      one_case("1", identity) + "\n\n" + one_case("\"zwei\"", "") + "\r\n" + one_case("[3]", "{}");
  const std::string expected =
      "{\"id\":1,\"decision\":\"Allow\"}\n{\"id\":\"zwei\",\"decision\":\"ImplicitDeny\"}\n{\"id\":[3],\"decision\":"
      "\"Invalid\"}\n";
  EXPECT_EQ(pail({"simulate", "--cases", file("c", cases)}), kExitOk) << console_.errors;
  EXPECT_EQ(console_.output, expected);
  EXPECT_EQ(console_.errors, "");
  EXPECT_EQ(pail({"simulate", "--cases", directory_ / "c", "--why"}), kExitOk);
  EXPECT_THAT(console_.errors,
              HasSubstr("c: line 4: identity policy 1: line 1, column 1: the element Statement is missing"));
  EXPECT_EQ(pail_fed({"simulate", "--cases", "-"}, cases + "\n"), kExitOk);
  EXPECT_EQ(console_.output, expected);
}

TEST_F(PolicyCommandTest, GoesOnBehindALineThatIsNoCase) {
  const std::string identity = on_one_line(kIdentity);
  const std::string cases = "nonsense\n" + one_case("2", identity) + "\n{\"id\":3}\n";
  EXPECT_EQ(pail({"simulate", "--cases", file("c", cases)}), kExitProblems);
  EXPECT_EQ(console_.output,
            "{\"id\":null,\"decision\":\"Invalid\"}\n{\"id\":2,\"decision\":\"Allow\"}\n{\"id\":3,\"decision\":"
            "\"Invalid\"}\n");
  EXPECT_THAT(console_.errors, HasSubstr("c: line 1 is no case: character 2: this is not JSON"));
  EXPECT_THAT(console_.errors, HasSubstr("c: line 3 is no case: character 1: the member \"principal\" is missing"));
}

TEST_F(PolicyCommandTest, AnEndlessLineIsRefused) {
  const std::string cases = one_case("1", on_one_line(kIdentity)) + "\n" + std::string((16 << 20) + 10, ' ');
  EXPECT_EQ(pail({"simulate", "--cases", file("c", cases)}), kExitFailure);
  EXPECT_THAT(console_.output, StartsWith("{\"id\":1,"));
  EXPECT_THAT(console_.errors, HasSubstr("line 2 is longer than 16 MiB"));
}

TEST_F(PolicyCommandTest, SaysWhichFileIsMissing) {
  EXPECT_EQ(pail({"simulate", "--cases", directory_ / "none"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("none cannot be read"));
  EXPECT_EQ(pail({"validate", directory_ / "none"}), kExitFailure);
  EXPECT_EQ(pail({"simulate"}), kExitUsage);
  EXPECT_EQ(pail({"validate", "--type", "nobody", "x"}), kExitUsage);
}

}  // namespace
}  // namespace pailfs
