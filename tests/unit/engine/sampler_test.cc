#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace millrace {
namespace {

using Logits = std::vector<float>;

TokenId sample(Sampler& sampler, Logits logits, std::int64_t position = 0) {
  return sampler.sample(logits, position)->token;
}

// Frequencies of 20,000 draws.
std::map<TokenId, double> frequencies(const SamplingParams& params, const Logits& logits) {
  std::map<TokenId, double> counts;
  Sampler sampler(params, static_cast<std::int64_t>(logits.size()), 42);
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) counts[sample(sampler, logits, i)] += 1.0 / kDraws;
  return counts;
}

void expect_share(const std::map<TokenId, double>& got, TokenId token, double want) {
  const auto it = got.find(token);
  const double share = it == got.end() ? 0 : it->second;
  // Five standard deviations of a binomial share.
  EXPECT_NEAR(share, want, 5 * std::sqrt(want * (1 - want) / 20'000) + 1e-9) << "token " << token;
}

const Logits kLogits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};

TEST(Sampler, GreedyTakesTheFirstBest) {
  Sampler sampler({}, 4, 1);
  EXPECT_EQ(sample(sampler, {1, 3, 3, 2}), 1);
}

TEST(Sampler, TemperatureFollowsTheDistribution) {
  auto got = frequencies({.temperature = 1}, kLogits);
  expect_share(got, 0, 0.5);
  expect_share(got, 1, 0.3);
  expect_share(got, 2, 0.15);
  expect_share(got, 3, 0.05);
  got = frequencies({.temperature = 0.5}, kLogits);  // squares, normalised
  expect_share(got, 0, 0.25 / 0.365);
  expect_share(got, 3, 0.0025 / 0.365);
}

TEST(Sampler, TopKTopPAndMinPCutTheTail) {
  auto got = frequencies({.temperature = 1, .top_k = 2}, kLogits);
  expect_share(got, 0, 0.5 / 0.8);
  expect_share(got, 2, 0);
  got = frequencies({.temperature = 1, .top_p = 0.6}, kLogits);  // 0.5 is not enough, 0.8 is
  expect_share(got, 0, 0.5 / 0.8);
  expect_share(got, 1, 0.3 / 0.8);
  expect_share(got, 2, 0);
  got = frequencies({.temperature = 1, .min_p = 0.25}, kLogits);  // at least 0.125
  expect_share(got, 2, 0.15 / 0.95);
  expect_share(got, 3, 0);
}

TEST(Sampler, TopPOverAWideVocabularyKeepsTheSmallestSet) {
  Logits flat(5000, 0.0f);
  std::map<TokenId, double> got = frequencies({.temperature = 1, .top_p = 0.1}, flat);
  for (const auto& [token, share] : got) EXPECT_LT(token, 500);
}

TEST(Sampler, PenaltiesCountPromptAndAnswerAsDefined) {
  // Repetition: prompt and answer, division of positive and multiplication of negative logits.
  SamplingParams params = {.repetition_penalty = 2};
  Sampler repetition(params, 3, 1);
  const std::vector<TokenId> prompt = {0};
  repetition.observe_prompt(prompt);
  EXPECT_EQ(sample(repetition, {3, 2, 1}), 1);        // 1.5, 2, 1
  EXPECT_EQ(sample(repetition, {3, 2, 1.7f}), 2);     // 1.5, 1, 1.7
  EXPECT_EQ(sample(repetition, {-1, -1.5f, -3}), 0);  // -2, -3, -6

  // Presence once, frequency each time, the answer alone.
  Sampler presence({.presence_penalty = 1}, 2, 1);
  presence.observe_prompt(prompt);
  EXPECT_EQ(sample(presence, {1, 0.5f}), 0);
  EXPECT_EQ(sample(presence, {1, 0.5f}), 1);
  EXPECT_EQ(sample(presence, {1, 0.5f}), 0);  // both present now
  Sampler frequency({.frequency_penalty = 0.3}, 2, 1);
  EXPECT_EQ(sample(frequency, {1, 0.5f}), 0);
  EXPECT_EQ(sample(frequency, {1, 0.5f}), 0);  // 0.7 against 0.5
  EXPECT_EQ(sample(frequency, {1, 0.5f}), 1);  // 0.4 against 0.5
}

TEST(Sampler, BiasBansAndForces) {
  Sampler sampler({.logit_bias = {{0, -100.0f}, {2, 100.0f}}}, 3, 1);
  EXPECT_EQ(sample(sampler, {5, 4, 3}), 2);
}

TEST(Sampler, SameSeedSameDrawsWhateverWasDrawnBefore) {
  Sampler a({.temperature = 1, .seed = 9}, 4, 1);
  Sampler b({.temperature = 1, .seed = 9}, 4, 2);
  sample(b, kLogits, 100);
  sample(b, kLogits, 101);
  int different = 0;
  Sampler c({.temperature = 1, .seed = 10}, 4, 1);
  for (int position = 0; position < 200; ++position) {
    const TokenId token = sample(a, kLogits, position);
    EXPECT_EQ(token, sample(b, kLogits, position));
    different += token != sample(c, kLogits, position);
  }
  EXPECT_GT(different, 50);
}

TEST(Sampler, LogprobsAreTheModelsOwn) {
  Sampler sampler({.repetition_penalty = 3, .logit_bias = {{3, 50.0f}}, .logprobs = 2}, 4, 1);
  Logits logits = kLogits;
  const Result<SampledToken> token = sampler.sample(logits, 0);
  ASSERT_TRUE(token.has_value());
  EXPECT_EQ(token->token, 3);
  EXPECT_NEAR(token->logprob, std::log(0.05f), 1e-6);
  ASSERT_EQ(token->best.size(), 2u);
  EXPECT_EQ(token->best[0].token, 0);
  EXPECT_NEAR(token->best[0].logprob, std::log(0.5f), 1e-6);
  EXPECT_EQ(token->best[1].token, 1);
}

TEST(Sampler, RefusesNaN) {
  Sampler sampler({}, 2, 1);
  Logits logits = {0, std::numeric_limits<float>::quiet_NaN()};
  const Result<SampledToken> token = sampler.sample(logits, 17);
  ASSERT_FALSE(token.has_value());
  EXPECT_NE(token.error().message.find("NaN at position 17"), std::string::npos);
}

TEST(Sampler, SurvivesInfiniteLogits) {
  const float inf = std::numeric_limits<float>::infinity();
  Sampler sampler({.temperature = 1}, 3, 1);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sample(sampler, {-inf, 1, -inf}, i), 1);
}

TEST(CheckSampling, NamesTheParameter) {
  const auto message = [](const SamplingParams& params) {
    const Status status = check_sampling(params, 100);
    return status ? std::string("fine") : status.error().message;
  };
  EXPECT_EQ(message({}), "fine");
  EXPECT_EQ(message({.temperature = -1}), "temperature: found -1, expected a number from 0 to 100");
  EXPECT_EQ(message({.top_p = 0}).substr(0, 14), "top_p: found 0");
  EXPECT_EQ(message({.temperature = std::nan("")}).substr(0, 16), "temperature: fou");
  EXPECT_EQ(message({.logit_bias = {{100, 1.0f}}}),
            "logit_bias: found token 100, expected 0 to 99");
}

}  // namespace
}  // namespace millrace
