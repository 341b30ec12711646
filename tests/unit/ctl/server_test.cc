#include "ctl/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "core_fixture.h"
#include "ctl/client.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ControlServerTest : public CoreFixture {
 protected:
  ControlServerTest() {
    auto server = ControlServer::open(*core_, daemon_, path_);
    EXPECT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  std::unique_ptr<ControlClient> connect() {
    auto client = ControlClient::connect_socket(path_);
    EXPECT_TRUE(client) << client.error().message;
    return std::move(*client);
  }
  // Sends bytes as they are and returns the first line of what comes back.
  std::string raw(std::string_view bytes) {
    auto connection = UnixConnection::connect(path_);
    EXPECT_TRUE(connection);
    static_cast<void>((*connection)->send(bytes, 5s));  // the server may have answered already, and closed
    LineReader lines(**connection, kMaxReply);
    auto line = lines.next(20s, 20s);
    return line ? *line : "(" + line.error().message + ")";
  }

  test::TemporaryDirectory directory_;
  const std::string path_ = directory_ / "run/test.sock";
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersSeveralRequestsOnOneConnection) {
  auto client = connect();
  EXPECT_TRUE(client->request("status", Json::object(), {}));
  const auto buckets = client->request("bucket.list", Json::object(), {});
  ASSERT_TRUE(buckets) << buckets.error().message;
  EXPECT_TRUE((*buckets)["buckets"].is_array());
}

TEST_F(ControlServerTest, ReportsFailuresWithCodeAndMessage) {
  const auto result = connect()->request("bucket.show", {{"bucket", "absent"}}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kNotFound);
  EXPECT_THAT(result.error().message, HasSubstr("absent"));
}

TEST_F(ControlServerTest, GoesByTheCredentialsOfThePeer) {
  const auto slots = connect()->request("key.list", Json::object(), {});
  if (::geteuid() == 0 || ::geteuid() == kAccount) {
    EXPECT_TRUE(slots);
  } else {
    EXPECT_EQ(slots.error().code, Code::kAccessDenied);
  }
}

TEST_F(ControlServerTest, OpensItsSocketToAll) {
  EXPECT_EQ(std::filesystem::status(path_).permissions(), std::filesystem::perms(0666));
  EXPECT_EQ(std::filesystem::status(directory_ / "run").permissions(), std::filesystem::perms(0755));
}

TEST_F(ControlServerTest, AnswersNonsenseWithAnErrorAndGoesOn) {
  EXPECT_THAT(raw("nonsense\n"), HasSubstr("\"error\""));
  EXPECT_THAT(raw("\n"), HasSubstr("\"error\""));
  EXPECT_THAT(raw("{\"op\":\"status\",\"args\":3}\n"), HasSubstr("\"error\""));
  EXPECT_THAT(raw(std::string(kMaxRequest + 1, 'x')), HasSubstr("longer than"));
  EXPECT_TRUE(connect()->request("status", Json::object(), {}));
}

TEST_F(ControlServerTest, RefusesConnectionsBeyondItsLimit) {
  std::vector<std::unique_ptr<UnixConnection>> held;
  for (int i = 0; i < 64; ++i) held.push_back(std::move(*UnixConnection::connect(path_)));
  EXPECT_THAT(raw("{\"op\":\"status\"}\n"), HasSubstr("too many"));
  for (int i = 0; i < 100; ++i) {
    const auto refused = connect()->request("status", Json::object(), {});
    ASSERT_FALSE(refused);
    ASSERT_THAT(refused.error().message, HasSubstr("too many"));
  }
  held.clear();
  // The places are free once the server has seen the connections end.
  for (std::string answer; answer.find("\"ok\"") == std::string::npos;) answer = raw("{\"op\":\"status\"}\n");
}

TEST_F(ControlServerTest, ServesManyClientsAtOnce) {
  std::vector<std::thread> clients;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      auto client = connect();
      for (int k = 0; k < 20; ++k) {
        if (client->request("status", Json::object(), {})) ++answered;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 16 * 20);
}

TEST_F(ControlServerTest, StopsWhileClientsAreConnected) {
  auto idle = connect();
  ASSERT_TRUE(idle->request("status", Json::object(), {}));
  server_->stop();
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_FALSE(idle->request("status", Json::object(), {}));
  server_->stop();
}

TEST_F(ControlServerTest, KeepsASecondServerAway) {
  FakeDaemon other;
  EXPECT_EQ(ControlServer::open(*core_, other, path_).error().code, Code::kInUse);
}

// Every prefix of a good request, and every request with one byte changed, is answered and kills nothing.
TEST_F(ControlServerTest, SurvivesDamagedRequests) {
  const std::string good = R"({"op":"bucket.show","args":{"bucket":"photos"}})";
  auto connection = std::move(*UnixConnection::connect(path_));
  LineReader lines(*connection, kMaxReply);
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char byte : {'\0', '"', '}', '\xff', '9'}) {
      std::string damaged = good;
      damaged[i] = byte;
      ASSERT_TRUE(connection->send(damaged + "\n", 5s));
      const auto answer = lines.next(20s, 20s);
      ASSERT_TRUE(answer);
      EXPECT_THAT(*answer, HasSubstr("\"error\""));
    }
  }
}

}  // namespace
}  // namespace pailfs
