#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace millrace {
namespace {

TEST(StopMatcher, FindsStopsAcrossPieces) {
  StopMatcher stops({"END", "\n\n"});
  EXPECT_EQ(stops.push("one E"), "one ");
  EXPECT_EQ(stops.push("N"), "");
  EXPECT_EQ(stops.push("Dtwo"), "");
  EXPECT_TRUE(stops.matched());
  EXPECT_EQ(stops.push("more"), "");
  EXPECT_EQ(stops.flush(), "");
}

TEST(StopMatcher, GivesBackWhatTurnedOutHarmless) {
  StopMatcher stops({"abab"});
  EXPECT_EQ(stops.push("xaba"), "x");
  EXPECT_EQ(stops.push("c"), "abac");
  EXPECT_EQ(stops.push("ab"), "");
  EXPECT_EQ(stops.flush(), "ab");
}

TEST(StopMatcher, EmptyStopsAreNoStops) {
  StopMatcher stops({"", ""});
  EXPECT_EQ(stops.push("abc"), "abc");
  EXPECT_FALSE(stops.matched());
}

// However the text is cut into pieces, the result is the text before the earliest stop.
TEST(StopMatcher, CutsDoNotMatter) {
  std::mt19937 random(5);
  const auto draw = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = draw(20); i > 0; --i) text += static_cast<char>('a' + draw(2));
    std::vector<std::string> list;
    for (int i = 1 + draw(2); i > 0; --i) {
      std::string stop;
      for (int n = 1 + draw(4); n > 0; --n) stop += static_cast<char>('a' + draw(2));
      list.push_back(stop);
    }
    StopMatcher stops(list);
    std::string got;
    for (const char c : text) got += stops.push({&c, 1});
    if (!stops.matched()) got += stops.flush();
    // The stop whose end comes first wins; among those that end together, the longest.
    std::string want = text;
    bool found = false;
    for (std::size_t end = 1; end <= text.size() && !found; ++end) {
      for (const std::string& stop : list) {
        if (end < stop.size() || text.compare(end - stop.size(), stop.size(), stop) != 0) continue;
        const std::string before = text.substr(0, end - stop.size());
        want = found ? std::min(want, before, [](auto& a, auto& b) { return a.size() < b.size(); })
                     : before;
        found = true;
      }
    }
    EXPECT_EQ(got, want) << text;
    EXPECT_EQ(stops.matched(), found);
  }
}

}  // namespace
}  // namespace millrace
