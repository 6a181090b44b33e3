#include "engine/token_logprobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "engine/prompt_scorer.h"

namespace millrace {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

double exact(const std::vector<float>& logits) {
  const float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - best);
  return best + std::log(sum);
}

TEST(TokenLogprobs, TheSumIsThatOfDoubles) {
  std::mt19937 random(1);
  for (const std::size_t size : {1u, 5u, 16u, 17u, 1000u, 1024u, 65536u}) {
    for (const float spread : {0.0f, 1.0f, 30.0f}) {
      std::normal_distribution<float> draw(-3, spread + 1e-6f);
      std::vector<float> logits(size);
      for (float& logit : logits) logit = draw(random);
      logits[size / 2] = -kInfinity;
      logits[size - 1] = 2;
      EXPECT_NEAR(log_sum_exp(logits), exact(logits), 1e-6) << size << ", " << spread;
    }
  }
  EXPECT_EQ(log_sum_exp(std::vector<float>(20, -kInfinity)), -kInfinity);
  EXPECT_NEAR(log_sum_exp(std::vector<float>{1000, 1000}), 1000 + std::log(2.0), 1e-6);
  for (const std::size_t place : {0u, 17u, 40u}) {
    for (const float other : {0.0f, kInfinity, -kInfinity, std::nanf("")}) {
      std::vector<float> logits(41, other);
      logits[place] = std::nanf("");
      EXPECT_TRUE(std::isnan(log_sum_exp(logits))) << place << ", " << other;
    }
  }
}

// Beside a stable sort; few different values, so that many are equal.
TEST(TokenLogprobs, RanksAndBestAreInOrder) {
  std::mt19937 random(2);
  for (const std::size_t size : {1u, 3u, 64u, 100u, 3000u}) {
    for (const int values : {1, 4, 100000}) {
      std::vector<float> logits(size);
      for (float& logit : logits) logit = static_cast<float>(random() % unsigned(values)) / 7;
      std::vector<TokenId> order(size);
      for (std::size_t i = 0; i < size; ++i) order[i] = static_cast<TokenId>(i);
      std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
        return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
      });
      for (const std::size_t place : {std::size_t{0}, size / 2, size - 1})
        EXPECT_EQ(rank_of(logits, order[place]), static_cast<std::int32_t>(place) + 1);
      for (const std::size_t count : {0u, 1u, 20u, 4000u}) {
        std::vector<TokenLogprob> best(std::min(count, size));
        find_best(logits, 0.5, best);
        for (std::size_t i = 0; i < best.size(); ++i) {
          ASSERT_EQ(best[i].token, order[i]) << size << ", " << values;
          EXPECT_EQ(best[i].logprob, logits[static_cast<std::size_t>(order[i])] - 0.5f);
        }
      }
    }
  }
}

TEST(PromptScorer, PassesOverWhatItHasSeen) {
  const std::vector<TokenId> prompt = {3, 1, 2};
  PromptScorer scorer(prompt, 1);
  scorer.prepare();
  const std::vector<float> first = {0, 1, 2, 3}, second = {9, 0, 0, 0};
  EXPECT_TRUE(scorer.wants(0, 1));
  EXPECT_FALSE(scorer.wants(2, 1)) << "the last token's row is the answer's";
  scorer.judge(0, first);
  ASSERT_TRUE(scorer.advance(1).has_value());
  scorer.judge(0, second);
  EXPECT_EQ(scorer.scored(), 1);
  EXPECT_FALSE(scorer.wants(0, 1));
  EXPECT_TRUE(scorer.wants(0, 2));
  EXPECT_FALSE(scorer.complete());
  scorer.judge(1, std::vector<float>{0, NAN, 0, 0});
  EXPECT_FALSE(scorer.advance(2).has_value());
  scorer.judge(1, second);
  scorer.judge(2, first);
  ASSERT_TRUE(scorer.advance(3).has_value());
  ASSERT_TRUE(scorer.complete());
  const auto result = scorer.result();
  ASSERT_EQ(result->tokens.size(), 2u);
  EXPECT_EQ(result->tokens[0].rank, 3);
  EXPECT_NEAR(result->tokens[0].logprob, 1 - exact(first), 1e-6);
  EXPECT_EQ(result->best_of(0)[0].token, 3);
  EXPECT_EQ(result->best_of(1)[0].token, 0);
}

}  // namespace
}  // namespace millrace
