// The control protocol: lines of JSON over a stream socket. A request is {"op":…,"args":{…}}; it is answered by any
// number of {"progress":{"done":…,"total":…}} and then by one {"ok":…} or {"error":{"code":…,"message":…}}. Any number
// of requests may follow one another on a connection.
//
// Byte strings that need not be UTF-8 (paths, names) are JSON strings where they are UTF-8, and {"base64":…} otherwise.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/unix_socket.h"

namespace pailfs {

using Json = nlohmann::json;

inline constexpr int kControlProtocol = 1;
inline constexpr size_t kMaxRequest = size_t{1} << 20;  // bytes, with the newline
inline constexpr size_t kMaxReply = size_t{256} << 20;  // a listing of millions of versions; bounds a client's memory

struct ControlRequest {
  std::string op;
  Json args = Json::object();
};
// kInvalid says what is wrong with the line.
Result<ControlRequest> parse_request(std::string_view line);
std::string encode_request(const ControlRequest& request);

// Lines with their newline.
std::string encode_ok(const Json& result);
std::string encode_error(const Error& error);
std::string encode_progress(uint64_t done, uint64_t total);

// One line of an answer, as the client reads it: the result, or the failure that the daemon reports, or how far it is.
struct ControlReply {
  enum class Kind { kOk, kError, kProgress } kind = Kind::kError;
  Json ok;
  Error error;
  uint64_t done = 0;
  uint64_t total = 0;
};
// kIo: it is none of these.
Result<ControlReply> parse_reply(std::string_view line);

// For print and wire: bytes that are no UTF-8 become U+FFFD instead of an exception.
std::string dump(const Json& json, int indent = -1);

// The Code that code_name() gives this name; kIo for one that this build does not know.
Code code_by_name(std::string_view name);

bool is_utf8(std::string_view bytes);
Json bytes_to_json(std::string_view bytes);
Result<std::string> json_to_bytes(const Json& json);

// Members of a request's arguments, checked. Absent members give the fallback, wrong types kInvalid naming the member.
Result<std::string> string_argument(const Json& args, const char* name);  // must be there
Result<std::string> string_argument(const Json& args, const char* name, std::string fallback);
Result<bool> bool_argument(const Json& args, const char* name, bool fallback);
Result<int64_t> integer_argument(const Json& args, const char* name, int64_t fallback);

// Overwrites every string in the document, for arguments that carry secrets.
void wipe_strings(Json& json);

// Reads lines off a connection, at most `limit` bytes long.
class LineReader {
 public:
  LineReader(UnixConnection& connection, size_t limit) : connection_(connection), limit_(limit) {}
  ~LineReader();  // wipes the buffer: requests may carry secrets
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  // The next line without its newline; empty string: the peer closed between lines. kInvalid: too long, or the peer
  // closed in mid-line. kInterrupted: nothing within `idle`, or the line not complete within `whole` of its first byte.
  Result<std::string> next(std::chrono::milliseconds idle, std::chrono::milliseconds whole);

 private:
  UnixConnection& connection_;
  const size_t limit_;
  std::string buffer_;
};

}  // namespace pailfs
