#include "engine/draft.h"

#include <gtest/gtest.h>

#include <random>

namespace millrace {
namespace {

using Tokens = std::vector<TokenId>;

Tokens guess(LookupDrafter& drafter, const Tokens& tokens, std::int64_t most) {
  Tokens drafts;
  drafter.propose(tokens, most, drafts);
  return drafts;
}

TEST(LookupDrafter, GuessesWhatFollowedBefore) {
  LookupDrafter drafter(100);
  EXPECT_EQ(guess(drafter, {1, 2, 3, 4, 5, 6, 1, 2, 3}, 2), (Tokens{4, 5}));
  EXPECT_EQ(guess(drafter, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4}, 9), (Tokens{5, 6, 1, 2, 3, 4}));
  EXPECT_EQ(guess(drafter, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 9}, 9), Tokens{});
}

TEST(LookupDrafter, TakesTheLongestAgreementAndOfEqualsTheLatest) {
  LookupDrafter drafter(100);
  EXPECT_EQ(guess(drafter, {9, 1, 2, 3, 50, 8, 1, 2, 3, 60, 9, 1, 2, 3}, 1), Tokens{50});
  LookupDrafter other(100);
  EXPECT_EQ(guess(other, {1, 2, 3, 50, 8, 1, 2, 3, 60, 9, 1, 2, 3}, 1), Tokens{60});
}

TEST(LookupDrafter, ShortTextsAndNone) {
  LookupDrafter drafter(4);
  EXPECT_EQ(guess(drafter, {1}, 4), Tokens{});
  EXPECT_EQ(guess(drafter, {1, 1, 1, 1}, 4), Tokens{1});
  EXPECT_EQ(guess(drafter, {1, 1, 1, 1}, 0), Tokens{});
}

// Whatever the text: guesses are what followed an earlier place that agrees in three tokens at
// least, and there is one if there is such a place among the latest.
TEST(LookupDrafter, RandomTexts) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    LookupDrafter drafter(200);
    Tokens tokens;
    while (tokens.size() < 150) {
      tokens.push_back(static_cast<TokenId>(random() % 3));
      const Tokens drafts = guess(drafter, tokens, 5);
      bool found = drafts.empty();
      const std::size_t size = tokens.size();
      for (std::size_t end = 3; end < size && !found; ++end)
        found = std::equal(tokens.begin() + static_cast<std::ptrdiff_t>(end) - 3,
                           tokens.begin() + static_cast<std::ptrdiff_t>(end), tokens.end() - 3) &&
                end + drafts.size() <= size &&
                std::equal(drafts.begin(), drafts.end(),
                           tokens.begin() + static_cast<std::ptrdiff_t>(end));
      EXPECT_TRUE(found);
      if (size > 3 && std::equal(tokens.end() - 4, tokens.end() - 1, tokens.end() - 3)) {
        EXPECT_FALSE(drafts.empty()) << "the same three tokens are one place back";
      }
    }
  }
}

TEST(DraftLength, FollowsWhatWasRight) {
  DraftLength length(7);
  EXPECT_EQ(length.next(), 2);
  length.learn(2, 2);
  EXPECT_EQ(length.next(), 4);
  length.learn(4, 4);
  EXPECT_EQ(length.next(), 7);
  length.learn(7, 1);
  EXPECT_EQ(length.next(), 2);
  length.learn(2, 0);
  EXPECT_EQ(length.next(), 1);
  length.learn(0, 0);
  EXPECT_EQ(length.next(), 1);
}

}  // namespace
}  // namespace millrace
