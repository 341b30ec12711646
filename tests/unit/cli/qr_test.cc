// The QR code that a terminal shows is the one that the library made, with its quiet zone.
#include "cli/qr.h"

#include <gtest/gtest.h>
#include <qrencode.h>

#include <map>
#include <memory>
#include <vector>

namespace pailfs::cli {
namespace {

// Rows of modules, true for dark, as somebody sees them who looks at the terminal.
std::vector<std::vector<bool>> seen(std::string text) {
  const std::map<std::string, std::pair<bool, bool>> blocks{
      {" ", {false, false}}, {"█", {true, true}}, {"▀", {true, false}}, {"▄", {false, true}}};
  std::vector<std::vector<bool>> rows;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string line = text.substr(0, end);
    text.erase(0, end + 1);
    EXPECT_TRUE(line.starts_with("\033[38;5;16;48;5;231m") && line.ends_with("\033[0m"));  // black on white
    line = line.substr(19, line.size() - 19 - 4);
    std::vector<bool> upper, lower;
    while (!line.empty()) {
      const size_t size = line.front() == ' ' ? 1 : 3;
      const auto block = blocks.find(line.substr(0, size));
      EXPECT_TRUE(block != blocks.end());
      if (block == blocks.end()) return {};
      upper.push_back(block->second.first);
      lower.push_back(block->second.second);
      line.erase(0, size);
    }
    rows.push_back(std::move(upper));
    rows.push_back(std::move(lower));
  }
  return rows;
}

TEST(Qr, ShowsEveryModuleAndAQuietZone) {
  const std::string uri = "otpauth://totp/pailfs:store?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=pailfs";
  const auto drawn = terminal_qr(uri);
  ASSERT_TRUE(drawn) << drawn.error().message;
  const auto rows = seen(*drawn);
  const std::unique_ptr<QRcode, void (*)(QRcode*)> code(QRcode_encodeString8bit(uri.c_str(), 0, QR_ECLEVEL_L),
                                                        &QRcode_free);
  ASSERT_TRUE(code);
  const int width = code->width;
  ASSERT_GE(rows.size(), static_cast<size_t>(width + 8));
  for (int y = 0; y < width + 8; ++y) {
    ASSERT_EQ(rows[static_cast<size_t>(y)].size(), static_cast<size_t>(width + 8));
    for (int x = 0; x < width + 8; ++x) {
      const bool inside = x >= 4 && y >= 4 && x < width + 4 && y < width + 4;
      const bool dark = inside && (code->data[(y - 4) * width + x - 4] & 1) != 0;
      EXPECT_EQ(rows[static_cast<size_t>(y)][static_cast<size_t>(x)], dark) << x << ", " << y;
    }
  }
}

TEST(Qr, RefusesWhatNoCodeHolds) { EXPECT_FALSE(terminal_qr(std::string(5000, 'x'))); }

}  // namespace
}  // namespace pailfs::cli
