#include "ctl/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "support/temporary_directory.h"

namespace pailfs {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(ControlRequestTest, HasAnOperationAndArguments) {
  const auto request = parse_request(R"({"op":"bucket.show","args":{"bucket":"photos"}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->op, "bucket.show");
  EXPECT_EQ(request->args["bucket"], "photos");
}

TEST(ControlRequestTest, MayLeaveTheArgumentsOut) {
  const auto request = parse_request(R"({"op":"status"})");
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->args.is_object());
}

TEST(ControlRequestTest, SurvivesEncoding) {
  const auto request = parse_request(encode_request({"key.remove", {{"id", 3}}}));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->op, "key.remove");
  EXPECT_EQ(request->args["id"], 3);
}

TEST(ControlRequestTest, IsRefusedWhenMalformed) {
  for (const char* line : {"", "{", "nonsense", "[]", "3", "{}", R"({"op":3})", R"({"op":""})",
                           R"({"op":"status","args":[]})", R"({"op":"status","more":1})", "{\"op\":\"\xff\"}"}) {
    const auto request = parse_request(line);
    ASSERT_FALSE(request) << line;
    EXPECT_EQ(request.error().code, Code::kInvalid) << line;
  }
}

TEST(ControlRequestTest, IsRefusedWhenNestedAHundredThousandDeep) {
  const std::string deep = R"({"op":"status","args":)" + std::string(100'000, '[');
  EXPECT_FALSE(parse_request(deep));
  EXPECT_FALSE(parse_request(deep + std::string(100'000, ']') + "}"));
  // Also where an object may stand: what came in used to be wiped by recursion, until the daemon's stack was used up.
  const std::string nested = R"({"op":"status","args":{"a":)" + std::string(400'000, '[') + std::string(400'000, ']');
  EXPECT_FALSE(parse_request(nested + "}}"));
}

TEST(ControlReplyTest, NamesEveryCodeSoThatItComesBack) {
  for (const Code code : {Code::kNotFound, Code::kAccessDenied, Code::kWrongKey, Code::kTextBusy, Code::kInUse}) {
    EXPECT_EQ(code_by_name(code_name(code)), code);
  }
  EXPECT_EQ(code_by_name("from the future"), Code::kIo);
}

TEST(ControlReplyTest, ShowsBytesThatAreNoUtf8AsReplacementInMessages) {
  EXPECT_THAT(encode_error({Code::kIo, "no \xff here"}), HasSubstr("no \xEF\xBF\xBD here"));
}

TEST(ByteStringTest, IsPlainWhereItIsUtf8) { EXPECT_EQ(bytes_to_json("grüße/€/😀"), Json("grüße/€/😀")); }

TEST(ByteStringTest, IsBase64WhereItIsNot) {
  // Lone continuation, overlong, surrogate, beyond U+10FFFF, cut short.
  for (const std::string bytes : {"a\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF"}) {
    const Json json = bytes_to_json(bytes);
    EXPECT_TRUE(json.is_object()) << testing::PrintToString(bytes);
    const auto back = json_to_bytes(json);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, bytes);
  }
}

TEST(ArgumentTest, OfTheWrongTypeIsNamed) {
  const Json args = {{"bucket", 3}, {"deep", "yes"}, {"keep", 1.5}, {"id", UINT64_MAX}};
  EXPECT_THAT(string_argument(args, "bucket").error().message, HasSubstr("'bucket'"));
  EXPECT_THAT(bool_argument(args, "deep", false).error().message, HasSubstr("'deep'"));
  EXPECT_THAT(integer_argument(args, "keep", 0).error().message, HasSubstr("'keep'"));
  EXPECT_FALSE(integer_argument(args, "id", 0));
  EXPECT_FALSE(string_argument(args, "absent"));
  EXPECT_EQ(*string_argument(args, "absent", "fallback"), "fallback");
}

// Both ends of a connection.
class LineReaderTest : public testing::Test {
 protected:
  LineReaderTest() {
    auto listener = UnixListener::open(directory_ / "socket", 0600);
    EXPECT_TRUE(listener) << listener.error().message;
    listener_ = std::move(*listener);
    writer_ = std::move(*UnixConnection::connect(directory_ / "socket"));
    reader_ = std::move(*listener_->accept());
  }
  void send(std::string_view text) { ASSERT_TRUE(writer_->send(text, 5s)); }

  test::TemporaryDirectory directory_;
  std::unique_ptr<UnixListener> listener_;
  std::unique_ptr<UnixConnection> writer_;
  std::unique_ptr<UnixConnection> reader_;
};

TEST_F(LineReaderTest, SplitsLinesHoweverTheyArrive) {
  LineReader lines(*reader_, 100);
  send("one\ntwo\nthr");
  EXPECT_EQ(*lines.next(5s, 5s), "one");
  EXPECT_EQ(*lines.next(5s, 5s), "two");
  send("ee\n");
  EXPECT_EQ(*lines.next(5s, 5s), "three");
  writer_.reset();
  EXPECT_EQ(*lines.next(5s, 5s), "");
}

TEST_F(LineReaderTest, RefusesALineBeyondTheLimit) {
  LineReader lines(*reader_, 100);
  send(std::string(100, 'x') + "\n");
  EXPECT_EQ(lines.next(5s, 5s).error().code, Code::kInvalid);
}

TEST_F(LineReaderTest, TakesALineAtTheLimit) {
  LineReader lines(*reader_, 100);
  send(std::string(99, 'x') + "\n");
  EXPECT_EQ(*lines.next(5s, 5s), std::string(99, 'x'));
}

TEST_F(LineReaderTest, SaysWhenThePeerClosesInMidLine) {
  LineReader lines(*reader_, 100);
  send("half");
  writer_.reset();
  EXPECT_EQ(lines.next(5s, 5s).error().code, Code::kInvalid);
}

TEST_F(LineReaderTest, GivesUpOnALineThatIsNeverCompleted) {
  LineReader lines(*reader_, 100);
  send("half");
  EXPECT_EQ(lines.next(60s, 1ms).error().code, Code::kInterrupted);
}

TEST_F(LineReaderTest, GivesUpOnSilence) {
  LineReader lines(*reader_, 100);
  EXPECT_EQ(lines.next(1ms, 60s).error().code, Code::kInterrupted);
}

TEST_F(LineReaderTest, EndsWhenReceivingIsStopped) {
  LineReader lines(*reader_, 100);
  std::thread stopper([this] { reader_->stop_receiving(); });
  EXPECT_EQ(*lines.next(60s, 60s), "");
  stopper.join();
}

TEST_F(LineReaderTest, KnowsThePeer) {
  const auto peer = reader_->peer();
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->uid, ::geteuid());
  EXPECT_EQ(peer->pid, static_cast<uint32_t>(::getpid()));
  std::vector<gid_t> groups(static_cast<size_t>(::getgroups(0, nullptr)));
  groups.resize(static_cast<size_t>(::getgroups(static_cast<int>(groups.size()), groups.data())));
  EXPECT_THAT(peer->groups, testing::UnorderedElementsAreArray(groups));
}

TEST_F(LineReaderTest, KeepsASecondListenerAway) {
  EXPECT_EQ(UnixListener::open(directory_ / "socket", 0600).error().code, Code::kInUse);
}

TEST(UnixListenerTest, ReplacesASocketThatNobodyListensOn) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "socket";
  // What a killed daemon leaves: the name, and nobody behind it.
  const std::string aside = directory / "aside";
  {
    auto first = UnixListener::open(path, 0666);
    ASSERT_TRUE(first);
    std::filesystem::rename(path, aside);
  }
  std::filesystem::rename(aside, path);
  const auto second = UnixListener::open(path, 0666);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0666));
}

TEST(UnixListenerTest, LeavesAFileThatIsNoSocketAlone) {
  const test::TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "socket");
  EXPECT_EQ(UnixListener::open(directory / "socket", 0666).error().code, Code::kExists);
}

TEST(UnixListenerTest, RefusesAPathThatNoAddressHolds) {
  EXPECT_EQ(UnixListener::open("/tmp/" + std::string(200, 'x'), 0666).error().code, Code::kNameTooLong);
}

TEST(OwnedDirectoryTest, RefusesOneThatOthersCanWriteTo) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "run";
  ASSERT_TRUE(make_owned_directory(path, 0755));
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0755));
  EXPECT_TRUE(make_owned_directory(path, 0755));
  std::filesystem::permissions(path, std::filesystem::perms(0777));
  EXPECT_EQ(make_owned_directory(path, 0755).error().code, Code::kNotPermitted);
}

}  // namespace
}  // namespace pailfs
