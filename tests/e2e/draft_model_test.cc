// A second model that guesses changes how many steps an answer takes, and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"

namespace millrace::testing {
namespace {

EngineOptions options_for(const std::string& model) {
  EngineOptions options = exact_engine_options(model);
  options.threads = 1;
  options.context = 256;
  options.max_sequences = 3;
  options.poison_freed_memory = true;
  return options;
}

// Of requests that run at the same time: greedy ones and ones that draw, with and without a
// penalty.
std::vector<Completion> answers_of(const EngineOptions& options, int draft_tokens) {
  const auto engine = value_or_die(Engine::open(options));
  std::vector<Answer> running;
  for (int i = 0; i < 9; ++i) {
    Request request;
    for (int t = 0; t < 5 + 11 * i; ++t) request.prompt.push_back(3 + (t * 7 + i * 13) % 500);
    request.max_tokens = 24 + 5 * i;
    request.ignore_eos = true;
    request.draft_tokens = draft_tokens;
    request.sampling.seed = 40 + static_cast<std::uint64_t>(i);
    request.sampling.temperature = i % 3 == 0 ? 0 : 0.8;
    request.sampling.repetition_penalty = i % 4 == 1 ? 1.2 : 1;
    running.push_back(value_or_die(engine->submit(std::move(request), nullptr)));
  }
  std::vector<Completion> answers;
  for (Answer& answer : running) answers.push_back(answer.wait());
  return answers;
}

struct Guesses {
  std::int64_t made = 0, right = 0;
};

// The answers are those without guesses.
Guesses compare(const EngineOptions& options, const std::string& draft_model, int draft_tokens) {
  const std::vector<Completion> plain = answers_of(options, 0);
  EngineOptions with_draft = options;
  with_draft.draft_model = draft_model;
  const std::vector<Completion> guessed = answers_of(with_draft, draft_tokens);
  Guesses guesses;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(guessed[i].tokens, plain[i].tokens) << i;
    EXPECT_EQ(guessed[i].finish, plain[i].finish) << i;
    guesses.made += guessed[i].usage.draft_tokens;
    guesses.right += guessed[i].usage.accepted_draft_tokens;
  }
  return guesses;
}

TEST(DraftModel, AModelGuessesItsOwnGreedyTokens) {
  const std::string model = data_path("golden/dense_f32");
  const EngineOptions options = options_for(model);
  const auto engine = [&](int draft_tokens) {
    EngineOptions with_draft = options;
    with_draft.draft_model = model;
    const auto one = value_or_die(Engine::open(with_draft));
    Request request;
    request.prompt = {5, 80, 33, 410};
    request.max_tokens = 60;
    request.ignore_eos = true;
    request.draft_tokens = draft_tokens;
    const Completion answer = value_or_die(one->submit(std::move(request), nullptr)).wait();
    return std::pair(answer, one->stats().steps);
  };
  const auto [plain, plain_steps] = engine(0);
  const auto [guessed, guessed_steps] = engine(5);
  EXPECT_EQ(guessed.tokens, plain.tokens);
  EXPECT_GT(guessed.usage.draft_tokens, 40);
  EXPECT_EQ(guessed.usage.accepted_draft_tokens, guessed.usage.draft_tokens);
  EXPECT_LT(guessed_steps * 4, plain_steps);
}

TEST(DraftModel, AnswersAreThoseWithoutIt) {
  for (const int draft_tokens : {1, 4, 7}) {
    const Guesses same = compare(options_for(data_path("golden/dense_f32")),
                                 data_path("golden/dense_f32"), draft_tokens);
    EXPECT_GT(4 * same.right, same.made);  // most of them draw
    const Guesses other = compare(options_for(data_path("golden/dense_f32")),
                                  data_path("golden/dense_k4"), draft_tokens);
    EXPECT_GT(other.made, 50);
    EXPECT_LT(other.right, same.right);
  }
}

TEST(DraftModel, AnswersAreThoseWithoutItWhereMemoryIsShort) {
  EngineOptions options = options_for(data_path("golden/dense_f32"));
  options.cache_tokens = 272;  // for one request of nine and a half: others give up theirs
  compare(options, data_path("golden/dense_k4"), 5);
}

TEST(DraftModel, OfOtherTokensIsRefused) {
  EngineOptions options = options_for(data_path("golden/dense_f32"));
  options.draft_model = repository_path("models/nano");
  const auto engine = Engine::open(options);
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().message, ::testing::HasSubstr("models/nano: found "));
  EXPECT_THAT(engine.error().message, ::testing::HasSubstr("golden/dense_f32 has"));
}

}  // namespace
}  // namespace millrace::testing
