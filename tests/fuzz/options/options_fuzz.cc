// Text that people write, and text that the kernel writes: the daemon's arguments, times, names of buckets and
// versions, mount tables, encodings. The first byte says which.
#include <algorithm>
#include <string>
#include <vector>

#include "core/history.h"
#include "core/records.h"
#include "core/time_text.h"
#include "ctl/location.h"
#include "ctl/protocol.h"
#include "daemon/options.h"
#include "fuse/mount_table.h"
#include "fuzz/support/fuzz.h"
#include "store/json.h"
#include "store/superblock.h"

namespace pailfs::test {
namespace {

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == '\n') {
      out.emplace_back();
    } else {
      out.back().push_back(c);
    }
  }
  return out;
}

void arguments(std::string_view text) {
  const auto parsed = parse_arguments(lines(text));
  if (!parsed) {
    FUZZ_CHECK(parsed.error().code == Code::kInvalid && !parsed.error().message.empty());
    return;
  }
  if (const auto* const options = std::get_if<DaemonOptions>(&*parsed)) {
    FUZZ_CHECK(!options->store.empty() && !options->mountpoint.empty());
  }
}

void options_list(std::string_view text) {
  std::string again;
  for (const std::string& option : split_options(text)) {
    FUZZ_CHECK(!option.empty());
    if (!again.empty()) again += ',';
    for (const char c : option) {
      if (c == ',' || c == '\\') again += '\\';
      again += c;
    }
  }
  FUZZ_CHECK(split_options(again) == split_options(text));
}

void times(std::string_view text) {
  constexpr Time kNow = Time{1'700'000'000} * 1'000'000'000;
  const auto time = parse_time(text);
  if (time) {
    const auto again = parse_time(format_time(*time));
    // Offsets may lead a day beyond the first or the last year that can be written.
    FUZZ_CHECK(!again || *again == *time);
  }
  const auto duration = parse_duration(text);
  if (duration) FUZZ_CHECK(*duration >= 0);
  const auto moment = parse_moment(text, kNow);
  FUZZ_CHECK(moment.has_value() == (time || duration));
  if (duration) FUZZ_CHECK(kNow - *duration == *moment);
}

// Any stamp that a record may hold has a text, and its name in .versions is known for one.
void stamps(std::string_view text) {
  Decoder in(text);
  const Time time = in.i64();
  const std::string formatted = format_time(time);
  const auto parsed = parse_time(formatted);
  FUZZ_CHECK(!parsed || *parsed == time, formatted);
  VersionId id{};
  const std::string_view bytes = in.raw(id.size());
  std::copy(bytes.begin(), bytes.end(), id.begin());
  const std::string shown = format_version_id(id);
  FUZZ_CHECK(parse_version_id(shown) == id);
  for (const bool marker : {false, true}) {
    const std::string name = version_file_name(time, shown, marker);
    FUZZ_CHECK(name_needs_escape(name), name);
    FUZZ_CHECK(name_needs_escape("@" + name));
  }
}

void names(std::string_view text) {
  if (const auto id = parse_version_id(text)) FUZZ_CHECK(format_version_id(*id) == text);
  (void)name_needs_escape(text);
  if (check_bucket_name(text)) {
    FUZZ_CHECK(text.size() >= 3 && text.size() <= 63 && text.find("..") == text.npos);
    FUZZ_CHECK(std::ranges::all_of(
        text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'; }));
  }
}

void mounts(std::string_view text) {
  const std::vector<MountEntry> found = parse_mountinfo(text);
  for (const MountEntry& mount : found) {
    if (!mount.mountpoint.starts_with('/')) continue;
    if (const auto place = find_mount(found, mount.mountpoint)) FUZZ_CHECK(place->inside.starts_with('/'));
  }
  FUZZ_CHECK(parse_mount_table(text).size() <= static_cast<size_t>(std::ranges::count(text, '\n')) + 1);
}

void encodings(std::string_view text) {
  if (const auto bytes = base64_decode(text)) FUZZ_CHECK(base64(*bytes) == text);
  FUZZ_CHECK(base64_decode(base64(text)).value_or("?") == text);
  const Json json = bytes_to_json(text);
  FUZZ_CHECK(json_to_bytes(parse_json(dump(json))).value_or("?") == text);
  FUZZ_CHECK(json.is_string() == is_utf8(text));
  if (const auto bytes = uuid_bytes(text)) FUZZ_CHECK(bytes->size() == 16);
  const auto json_of_it = parse_json(text);
  if (!json_of_it.is_discarded()) FUZZ_CHECK(parse_json(dump(json_of_it)) == json_of_it);
}

void run(uint8_t what, std::string_view text) {
  switch (what % 7) {
    case 0:
      return arguments(text);
    case 1:
      return options_list(text);
    case 2:
      return times(text);
    case 3:
      return stamps(text);
    case 4:
      return names(text);
    case 5:
      return mounts(text);
    default:
      return encodings(text);
  }
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) pailfs::test::run(data[0], pailfs::test::input_of(data + 1, size - 1));
  return 0;
}
