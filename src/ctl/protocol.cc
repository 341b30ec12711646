#include "ctl/protocol.h"

#include <fmt/format.h>

#include <array>

#include "crypto/crypto.h"
#include "store/json.h"

namespace pailfs {
namespace {

// Every code, for the way back from its name. Codes are consecutive and end with kTextBusy.
constexpr int kLastCode = static_cast<int>(Code::kTextBusy);

std::unexpected<Error> wrong_type(const char* name, const char* wanted) {
  return fail(Code::kInvalid, fmt::format("the argument '{}' must be {}", name, wanted));
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  size_t i = 0;
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(bytes[k]); };
  while (i < bytes.size()) {
    const unsigned char lead = byte(i);
    const size_t n = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : 4;
    if (n == 4 && (lead < 0xF0 || lead > 0xF4)) return false;
    if (i + n > bytes.size()) return false;
    for (size_t k = 1; k < n; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    // Overlong forms, surrogates, beyond U+10FFFF (Unicode 15.0, table 3-7).
    if (lead == 0xE0 && byte(i + 1) < 0xA0) return false;
    if (lead == 0xED && byte(i + 1) > 0x9F) return false;
    if (lead == 0xF0 && byte(i + 1) < 0x90) return false;
    if (lead == 0xF4 && byte(i + 1) > 0x8F) return false;
    i += n;
  }
  return true;
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

Result<ControlRequest> parse_request(std::string_view line) {
  Json parsed = parse_json(line);
  if (parsed.is_discarded()) return fail(Code::kInvalid, "the request is no JSON, or nests too deep");
  if (!parsed.is_object()) return fail(Code::kInvalid, "the request is no JSON object");
  ControlRequest request;
  for (auto& [name, value] : parsed.items()) {
    if (name == "op" && value.is_string()) {
      request.op = value.get_ref<const std::string&>();
    } else if (name == "args" && value.is_object()) {
      request.args = std::move(value);
    } else {
      return fail(Code::kInvalid,
                  "the request has a member that is unknown or of the wrong type (known: op, a string; "
                  "args, an object)");
    }
  }
  if (request.op.empty()) return fail(Code::kInvalid, "the request names no op");
  return request;
}

std::string encode_request(const ControlRequest& request) {
  return dump({{"op", request.op}, {"args", request.args}}) + "\n";
}

std::string encode_ok(const Json& result) { return dump({{"ok", result}}) + "\n"; }

std::string encode_error(const Error& error) {
  return dump({{"error", {{"code", code_name(error.code)}, {"message", error.message}}}}) + "\n";
}

std::string encode_progress(uint64_t done, uint64_t total) {
  return dump({{"progress", {{"done", done}, {"total", total}}}}) + "\n";
}

Result<ControlReply> parse_reply(std::string_view line) {
  Json parsed = parse_json(line);
  if (!parsed.is_object()) return fail(Code::kIo, "the daemon answered something that is no reply");
  ControlReply reply;
  if (const auto ok = parsed.find("ok"); ok != parsed.end()) {
    reply.kind = ControlReply::Kind::kOk;
    reply.ok = std::move(*ok);
    return reply;
  }
  if (const auto error = parsed.find("error"); error != parsed.end() && error->is_object()) {
    const auto code = string_argument(*error, "code", "");
    const auto message = string_argument(*error, "message", "");
    reply.error = {code ? code_by_name(*code) : Code::kIo, message ? *message : "the daemon gave no reason"};
    return reply;
  }
  const auto step = parsed.find("progress");
  if (step == parsed.end() || !step->is_object()) return fail(Code::kIo, "the daemon answered something unknown");
  const auto done = integer_argument(*step, "done", 0);
  const auto total = integer_argument(*step, "total", 0);
  if (!done || !total || *done < 0 || *total < 0) return fail(Code::kIo, "the daemon reported impossible progress");
  reply.kind = ControlReply::Kind::kProgress;
  reply.done = static_cast<uint64_t>(*done);
  reply.total = static_cast<uint64_t>(*total);
  return reply;
}

Code code_by_name(std::string_view name) {
  for (int i = 0; i <= kLastCode; ++i) {
    if (code_name(static_cast<Code>(i)) == name) return static_cast<Code>(i);
  }
  return Code::kIo;
}

Json bytes_to_json(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  return {{"base64", base64(bytes)}};
}

Result<std::string> json_to_bytes(const Json& json) {
  if (json.is_string()) return json.get_ref<const std::string&>();
  if (json.is_object() && json.size() == 1 && json.contains("base64") && json["base64"].is_string()) {
    return base64_decode(json["base64"].get_ref<const std::string&>());
  }
  return fail(Code::kInvalid, "neither a string nor {\"base64\":…}");
}

Result<std::string> string_argument(const Json& args, const char* name) {
  const auto found = args.find(name);
  if (found == args.end()) return fail(Code::kInvalid, fmt::format("the argument '{}' is missing", name));
  auto bytes = json_to_bytes(*found);
  if (!bytes) return wrong_type(name, "a string");
  return bytes;
}

Result<std::string> string_argument(const Json& args, const char* name, std::string fallback) {
  if (!args.contains(name)) return fallback;
  return string_argument(args, name);
}

Result<bool> bool_argument(const Json& args, const char* name, bool fallback) {
  const auto found = args.find(name);
  if (found == args.end()) return fallback;
  if (!found->is_boolean()) return wrong_type(name, "true or false");
  return found->get<bool>();
}

Result<int64_t> integer_argument(const Json& args, const char* name, int64_t fallback) {
  const auto found = args.find(name);
  if (found == args.end()) return fallback;
  // Unsigned numbers beyond 2^63 would wrap.
  if (!found->is_number_integer() || (found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX)) {
    return wrong_type(name, "a whole number below 2^63");
  }
  return found->get<int64_t>();
}

void wipe_strings(Json& json) {
  if (json.is_string()) wipe(json.get_ref<std::string&>());
  if (!json.is_structured()) return;
  for (Json& member : json) wipe_strings(member);
}

LineReader::~LineReader() { wipe(buffer_); }

Result<std::string> LineReader::next(std::chrono::milliseconds idle, std::chrono::milliseconds whole) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline = Clock::now() + (buffer_.empty() ? idle : whole);
  size_t searched = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos && end < limit_) {
      std::string line = buffer_.substr(0, end);
      std::string rest = buffer_.substr(end + 1);
      wipe(buffer_);
      buffer_ = std::move(rest);
      if (line.empty()) return fail(Code::kInvalid, "the line is empty");
      return line;
    }
    if (buffer_.size() >= limit_) return fail(Code::kInvalid, fmt::format("the line is longer than {} bytes", limit_));
    searched = buffer_.size();
    std::array<char, 16384> chunk;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    PAILFS_ASSIGN(const size_t n, connection_.receive(chunk, left));
    if (n == 0) {
      if (!buffer_.empty()) return fail(Code::kInvalid, "the connection ended in the middle of a line");
      return std::string();
    }
    if (buffer_.empty()) deadline = Clock::now() + whole;
    // Grown by hand, so that the old place of a secret can be wiped.
    if (buffer_.size() + n > buffer_.capacity()) {
      std::string larger;
      larger.reserve(std::max(2 * buffer_.capacity(), buffer_.size() + n));
      larger.append(buffer_);
      wipe(buffer_);
      buffer_.swap(larger);
    }
    buffer_.append(chunk.data(), n);
    wipe(chunk);
  }
}

}  // namespace pailfs
