#include "hub/byte_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace millrace::hub {
namespace {

using Ranges = std::vector<ByteRange>;

TEST(ByteRanges, AgreesWithABitmapOnRandomRanges) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    ByteRanges ranges;
    std::vector<bool> bitmap(64);
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t begin = random() % 64;
      const std::uint64_t end = begin + random() % (65 - begin);
      ranges.add({begin, end});
      for (auto at = begin; at < end; ++at) bitmap[at] = true;
      std::vector<bool> covered(64);
      for (std::size_t k = 0; k < ranges.ranges().size(); ++k) {
        const ByteRange range = ranges.ranges()[k];
        ASSERT_LT(range.begin, range.end);
        if (k > 0) {
          ASSERT_GT(range.begin, ranges.ranges()[k - 1].end);
        }
        for (auto at = range.begin; at < range.end; ++at) covered[at] = true;
      }
      ASSERT_EQ(covered, bitmap);
      ASSERT_EQ(ranges.total(),
                static_cast<std::uint64_t>(std::count(bitmap.begin(), bitmap.end(), true)));
      std::vector<bool> open(64);
      for (const ByteRange gap : ranges.gaps(64, 5)) {
        ASSERT_LE(gap.size(), 5u);
        for (auto at = gap.begin; at < gap.end; ++at) open[at] = true;
      }
      bitmap.flip();
      ASSERT_EQ(open, bitmap);
      bitmap.flip();
    }
    EXPECT_EQ(ByteRanges::from_text(ranges.to_text(64), 64)->ranges(), ranges.ranges());
  }
}

TEST(ByteRanges, GapsOfAnEmptyFileAndOfAFullOne) {
  EXPECT_TRUE(ByteRanges().gaps(0, 10).empty());
  EXPECT_EQ(ByteRanges().gaps(25, 10), (Ranges{{0, 10}, {10, 20}, {20, 25}}));
  ByteRanges full;
  full.add({0, 25});
  EXPECT_TRUE(full.gaps(25, 10).empty());
}

TEST(ByteRanges, RefusesHostileText) {
  EXPECT_TRUE(ByteRanges::from_text(R"({"format":1,"size":9,"done":[[0,3],[5,9]]})", 9));
  for (const char* text : {
           "",
           "{}",
           "[]",
           "null",
           "{\"format\":1,\"size\":9,\"done\":[[0,3],[5,9]]",
           R"({"format":2,"size":9,"done":[]})",
           R"({"format":1,"size":8,"done":[]})",
           R"({"format":1,"size":9})",
           R"({"format":1,"size":9,"done":{}})",
           R"({"format":1,"size":9,"done":[[0,10]]})",
           R"({"format":1,"size":9,"done":[[3,0]]})",
           R"({"format":1,"size":9,"done":[[3,3]]})",
           R"({"format":1,"size":9,"done":[[-1,3]]})",
           R"({"format":1,"size":9,"done":[[0,3,4]]})",
           R"({"format":1,"size":9,"done":[0,3]})",
           R"({"format":1,"size":9,"done":[["0",3]]})",
           R"({"format":1,"size":9,"done":[[0.5,3]]})",
           R"({"format":1,"size":9,"done":[[5,9],[0,3]]})",
           R"({"format":1,"size":9,"done":[[0,5],[3,9]]})",
           R"({"format":1,"size":9,"done":[[0,18446744073709551615]]})",
           R"({"format":1,"size":9,"done":[[[[[[0]]]]]]})",
       })
    EXPECT_FALSE(ByteRanges::from_text(text, 9)) << text;
}

}  // namespace
}  // namespace millrace::hub
