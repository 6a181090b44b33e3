#include "base/units.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Units, PrintsAsPeopleRead) {
  EXPECT_EQ(format_bytes(12), "12 B");
  EXPECT_EQ(format_bytes(81920), "80.0 KiB");
  EXPECT_EQ(format_bytes(2340681216), "2.18 GiB");
  EXPECT_EQ(format_count(1170340608), "1.17B");
  EXPECT_EQ(format_count(354483968), "354M");
  EXPECT_EQ(format_seconds(65), "1m 05s");
  EXPECT_EQ(format_seconds(0.0121), "12 ms");
}

}  // namespace
}  // namespace millrace
