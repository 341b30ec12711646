// Names as people get to see them.
#include <gtest/gtest.h>

#include "core/types.h"

namespace pailfs::test {
namespace {

TEST(Printable, TextStaysAsItIs) {
  for (const char* const name : {"", "plain name.txt", "Grüße", "日本語", "🎉 party", "e\u0301"}) {
    EXPECT_EQ(printable(name), name);
  }
}

TEST(Printable, NothingThatATerminalActsOnOrThatIsNotSeen) {
  EXPECT_EQ(printable("a\x1b[31m\n"), "a\\x1b[31m\\x0a");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("\u009b31m"), "\\xc2\\x9b31m") << "the control sequence introducer of ISO 6429";
  EXPECT_EQ(printable("gpj\u202etxt"), "gpj\\xe2\\x80\\xaetxt") << "text that runs backwards";
  EXPECT_EQ(printable("a\u200bb\u2028\ufeff"), "a\\xe2\\x80\\x8bb\\xe2\\x80\\xa8\\xef\\xbb\\xbf");
  EXPECT_EQ(printable("\U000e0041"), "\\xf3\\xa0\\x81\\x81");
}

TEST(Printable, BytesThatAreNoText) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xe4ndern"), "\\xe4ndern") << "ISO 8859-1";
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "not the shortest form";
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82") << "cut off";
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

}  // namespace
}  // namespace pailfs::test
