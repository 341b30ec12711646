#include "cli/qr.h"

#include <qrencode.h>

#include <memory>

namespace pailfs::cli {

namespace {

constexpr int kQuiet = 4;  // modules around the code, as ISO/IEC 18004 wants it
constexpr std::string_view kBlackOnWhite = "\033[38;5;16;48;5;231m";
constexpr std::string_view kPlain = "\033[0m";

struct FreeCode {
  void operator()(QRcode* code) const { QRcode_free(code); }
};

bool dark(const QRcode& code, int x, int y) {
  const int column = x - kQuiet, row = y - kQuiet;
  if (column < 0 || row < 0 || column >= code.width || row >= code.width) return false;
  return (code.data[row * code.width + column] & 1) != 0;
}

}  // namespace

Result<std::string> terminal_qr(std::string_view text) {
  const std::unique_ptr<QRcode, FreeCode> code(QRcode_encodeString8bit(std::string(text).c_str(), 0, QR_ECLEVEL_L));
  if (!code) return fail(Code::kInvalid, "this does not fit a QR code");
  const int side = code->width + 2 * kQuiet;
  std::string out;
  for (int y = 0; y < side; y += 2) {
    out += kBlackOnWhite;
    for (int x = 0; x < side; ++x) {
      const bool upper = dark(*code, x, y), lower = dark(*code, x, y + 1);
      out += upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ";
    }
    out += kPlain;
    out += '\n';
  }
  return out;
}

}  // namespace pailfs::cli
