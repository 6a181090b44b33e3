// Log probabilities of prompts: beside those that follow from the whole prompt's logits, and the
// same bits in every company.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"

namespace millrace::testing {
namespace {

EngineOptions options_for() {
  EngineOptions options = exact_engine_options(repository_path("models/nano"));
  options.threads = 2;
  options.max_sequences = 6;
  options.context = 512;
  options.poison_freed_memory = true;
  return options;
}

std::unique_ptr<Engine> open_engine(const EngineOptions& options) {
  return value_or_die(Engine::open(options));
}

std::vector<TokenId> text(std::int64_t count, int salt = 0) {
  std::vector<TokenId> tokens;
  for (std::int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<TokenId>(10 + (i * 37 + salt * 101 + i * i % 13) % 900));
  return tokens;
}

Request scored(std::vector<TokenId> prompt, int best = 3, std::int64_t max_tokens = 2) {
  Request request;
  request.prompt = std::move(prompt);
  request.prompt_logprobs = best;
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  return request;
}

Request plain(std::vector<TokenId> prompt, std::int64_t max_tokens) {
  Request request = scored(std::move(prompt), 0, max_tokens);
  request.prompt_logprobs.reset();
  return request;
}

Answer submit(Engine& engine, Request request) {
  return value_or_die(engine.submit(std::move(request), nullptr));
}

Completion ask(Engine& engine, Request request) {
  return submit(engine, std::move(request)).wait();
}

void expect_same(const Completion& got, const Completion& want) {
  ASSERT_TRUE(got.prompt_logprobs && want.prompt_logprobs) << got.error << want.error;
  const PromptLogprobs &a = *got.prompt_logprobs, &b = *want.prompt_logprobs;
  ASSERT_EQ(a.tokens.size(), b.tokens.size());
  for (std::size_t i = 0; i < a.tokens.size(); ++i) {
    ASSERT_EQ(a.tokens[i].logprob, b.tokens[i].logprob) << "token " << i + 1;
    ASSERT_EQ(a.tokens[i].rank, b.tokens[i].rank) << "token " << i + 1;
  }
  ASSERT_EQ(a.best.size(), b.best.size());
  for (std::size_t i = 0; i < a.best.size(); ++i) {
    ASSERT_EQ(a.best[i].token, b.best[i].token) << i;
    ASSERT_EQ(a.best[i].logprob, b.best[i].logprob) << i;
  }
  EXPECT_EQ(got.tokens, want.tokens);
}

// From the logits of the whole prompt in one step, with doubles and a sort.
void expect_follows(const PromptLogprobs& got, const std::vector<TokenId>& prompt,
                    const std::vector<float>& logits) {
  const std::size_t vocab = logits.size() / prompt.size();
  ASSERT_EQ(got.tokens.size(), prompt.size() - 1);
  ASSERT_EQ(got.best.size(), got.tokens.size() * static_cast<std::size_t>(got.best_each));
  for (std::size_t i = 0; i + 1 < prompt.size(); ++i) {
    const float* row = logits.data() + i * vocab;
    std::vector<TokenId> order(vocab);
    for (std::size_t k = 0; k < vocab; ++k) order[k] = static_cast<TokenId>(k);
    std::stable_sort(order.begin(), order.end(),
                     [&](TokenId a, TokenId b) { return row[a] > row[b]; });
    double sum = 0;
    for (std::size_t k = 0; k < vocab; ++k) sum += std::exp(double{row[k]} - row[order[0]]);
    const auto logprob = [&](TokenId token) {
      return row[token] - (row[order[0]] + std::log(sum));
    };
    const TokenId next = prompt[i + 1];
    ASSERT_NEAR(got.tokens[i].logprob, logprob(next), 1e-5) << i;
    ASSERT_EQ(got.tokens[i].rank, std::find(order.begin(), order.end(), next) - order.begin() + 1);
    const std::span<const TokenLogprob> best = got.best_of(i);
    for (std::size_t k = 0; k < best.size(); ++k) {
      ASSERT_EQ(best[k].token, order[k]) << i;
      ASSERT_NEAR(best[k].logprob, logprob(order[k]), 1e-5) << i;
    }
  }
}

class PromptLogprobsOf : public ::testing::TestWithParam<const char*> {};

// Whole and in chunks of every size that a step's budget or its rows of logits leave.
TEST_P(PromptLogprobsOf, FollowFromTheLogits) {
  const std::string model = GetParam();
  EngineOptions options = options_for();
  options.model = model == "nano" ? repository_path("models/nano") : data_path("golden/" + model);
  options.context = 256;
  options.accuracy = Accuracy::Exact;
  options.kv_dtype = DType::F32;
  SmallStack stack(options.model, {.device = options.device, .kernels = options.kernels});
  std::vector<TokenId> prompt = text(120);
  for (TokenId& token : prompt) token %= static_cast<TokenId>(stack.config().vocab);
  SequenceMemory memory = stack.open();
  const std::vector<float> logits = stack.append(memory, prompt);
  std::optional<Completion> first;
  for (const std::int64_t budget : {512, 40, 7}) {
    for (const int drafts : {0, 7}) {
      options.step_budget = budget;
      options.most_draft_tokens = drafts;
      const auto engine = open_engine(options);
      const Completion completion = ask(*engine, scored(prompt));
      ASSERT_TRUE(completion.prompt_logprobs) << completion.error;
      expect_follows(*completion.prompt_logprobs, prompt, logits);
      EXPECT_EQ(completion.tokens.size(), 2u);
      EXPECT_EQ(completion.tokens[0], argmax(last_row(logits, stack.config().vocab)));
      if (!first) first = completion;
      expect_same(completion, *first);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, PromptLogprobsOf,
                         ::testing::Values("nano", "dense_f32", "moe_f32"));

// An answer that comes back as a prompt is as likely as it was.
TEST(PromptLogprobs, AgreeWithThoseOfAnAnswer) {
  const auto engine = open_engine(options_for());
  Request request = plain(text(20), 30);
  request.sampling.logprobs = 2;
  request.sampling.temperature = 1;
  request.sampling.seed = 7;
  std::vector<SampledToken> answer;
  value_or_die(engine->submit(request, [&](const TokenEvent& event) {
    if (event.token) answer.push_back(*event.token);
  })).wait();
  ASSERT_EQ(answer.size(), 30u);
  std::vector<TokenId> whole = request.prompt;
  for (const SampledToken& token : answer) whole.push_back(token.token);
  const Completion again = ask(*engine, scored(whole, 2));
  for (std::size_t i = 0; i < answer.size(); ++i) {
    const std::size_t at = request.prompt.size() - 1 + i;
    EXPECT_EQ(again.prompt_logprobs->tokens[at].logprob, answer[i].logprob) << i;
    const auto best = again.prompt_logprobs->best_of(at);
    ASSERT_EQ(best.size(), answer[i].best.size());
    for (std::size_t k = 0; k < best.size(); ++k) EXPECT_EQ(best[k].token, answer[i].best[k].token);
  }
}

TEST(PromptLogprobs, AWarmCacheIsNotTaken) {
  const auto engine = open_engine(options_for());
  const Completion cold = ask(*engine, scored(text(200)));
  ask(*engine, plain(text(200), 4));
  const Completion warm = ask(*engine, scored(text(200)));
  EXPECT_EQ(warm.usage.cached_tokens, 0);
  EXPECT_EQ(warm.usage.replayed_tokens, 0);
  expect_same(warm, cold);
  // What it has computed is there for others.
  EXPECT_GT(ask(*engine, plain(text(200), 4)).usage.cached_tokens, 150);
}

TEST(PromptLogprobs, ComeOnceInTheFirstEvent) {
  const auto engine = open_engine(options_for());
  int events = 0, with = 0;
  Answer answer = value_or_die(engine->submit(scored(text(50), 1, 5), [&](const TokenEvent& event) {
    with += event.prompt_logprobs != nullptr;
    if (++events == 1) {
      EXPECT_TRUE(event.prompt_logprobs);
    }
  }));
  EXPECT_EQ(answer.wait().prompt_logprobs->tokens.size(), 49u);
  EXPECT_EQ(events, 5);
  EXPECT_EQ(with, 1);
  // Of a single token there is nothing to say.
  const Completion one = ask(*engine, scored({5}));
  ASSERT_TRUE(one.prompt_logprobs);
  EXPECT_TRUE(one.prompt_logprobs->tokens.empty());
  EXPECT_EQ(one.tokens.size(), 2u);
}

TEST(PromptLogprobs, APromptAloneHasNoAnswer) {
  for (const bool overlap : {false, true}) {
    EngineOptions options = options_for();
    options.overlap = overlap;
    options.step_budget = 32;
    const auto engine = open_engine(options);
    const Completion with = ask(*engine, scored(text(90)));
    Request request = scored(text(90), 3, 0);
    request.prompt_only = true;
    int events = 0;
    Answer answer = value_or_die(engine->submit(request, [&](const TokenEvent& event) {
      ++events;
      EXPECT_FALSE(event.token);
      EXPECT_TRUE(event.prompt_logprobs);
    }));
    Completion alone = answer.wait();
    EXPECT_EQ(events, 1);
    EXPECT_EQ(alone.finish, FinishReason::Length);
    EXPECT_TRUE(alone.tokens.empty());
    EXPECT_EQ(alone.usage.completion_tokens, 0);
    alone.tokens = with.tokens;
    expect_same(alone, with);
    // Without log probabilities too, from the cache as far as it goes.
    request.prompt_logprobs.reset();
    const Completion silent = ask(*engine, request);
    EXPECT_EQ(silent.finish, FinishReason::Length);
    EXPECT_FALSE(silent.prompt_logprobs);
    EXPECT_GT(silent.usage.cached_tokens, 0);
    request.prompt = {5};
    EXPECT_EQ(ask(*engine, request).finish, FinishReason::Length);
  }
}

// Several at once, among answers of all kinds, none of which changes.
TEST(PromptLogprobs, DoNotDependOnTheCompany) {
  for (const bool overlap : {false, true}) {
    for (const int drafts : {0, 4}) {
      EngineOptions options = options_for();
      options.overlap = overlap;
      options.step_budget = 64;
      options.draft_tokens = drafts;
      const auto engine = open_engine(options);
      std::vector<Request> all;
      for (int i = 0; i < 12; ++i) {
        Request request = i % 3 == 0 ? plain(text(30 + i, i), 40)
                                     : scored(text(20 + 17 * i, i), i, 1 + i % 4 * 5);
        if (i % 4 == 1) request.sampling.logprobs = 2;
        if (i % 4 == 2) request.sampling = {.temperature = 0.9, .presence_penalty = 0.5, .seed = 9};
        if (i % 6 == 3) request.sampling = {.temperature = 1, .top_k = 9, .seed = 3};
        all.push_back(std::move(request));
      }
      std::vector<Completion> alone;
      for (const Request& request : all) alone.push_back(ask(*engine, request));
      ASSERT_TRUE(engine->reset_prefix_cache().has_value());
      std::vector<Answer> answers;
      for (const Request& request : all) answers.push_back(submit(*engine, request));
      for (std::size_t i = 0; i < all.size(); ++i) {
        const Completion& got = answers[i].wait();
        EXPECT_EQ(got.tokens, alone[i].tokens) << i;
        EXPECT_EQ(got.prompt_logprobs != nullptr, all[i].prompt_logprobs.has_value());
        if (all[i].prompt_logprobs) expect_same(got, alone[i]);
      }
    }
  }
}

// Answers grow until a prompt in the middle of its way has to give its memory up.
TEST(PromptLogprobs, SurviveHavingNoMemory) {
  for (const bool keeps : {true, false}) {
    EngineOptions options = options_for();
    options.max_sequences = 4;
    options.cache_tokens = 512;
    options.most_draft_tokens = 0;  // 16 rows of logits besides: long prompts take many steps
    options.policy.spare_blocks_per_answer = 0;
    options.keep_prefixes = keeps;
    const auto engine = open_engine(options);
    const Completion alone = ask(*engine, scored(text(330), 3, 60));
    ASSERT_TRUE(engine->reset_prefix_cache().has_value());
    std::int64_t preemptions = 0;
    for (int round = 0; round < 6; ++round) {
      std::atomic<int> events = 0;
      std::vector<Answer> growing;
      for (int i = 0; i < 2; ++i)
        growing.push_back(value_or_die(engine->submit(
            plain(text(60 + 5 * round, 7 * round + i + 1), 150), [&](const TokenEvent&) {
              ++events;
              events.notify_all();
            })));
      for (int seen = 0; (seen = events) < 2;) events.wait(seen);
      Request request = scored(text(330), 3, 60);
      request.priority = 1;
      request.prompt_only = round % 2 == 0;
      Completion got = ask(*engine, request);
      if (request.prompt_only) {  // was put off in the middle of its prompt, if at all
        preemptions += got.usage.preemptions;
        got.tokens = alone.tokens;
      }
      expect_same(got, alone);
      for (Answer& answer : growing) EXPECT_EQ(answer.wait().tokens.size(), 150u);
    }
    EXPECT_GT(preemptions, 0) << "the test exercises nothing";
  }
}

TEST(PromptLogprobs, CancelledOnesLeaveOthersAlone) {
  EngineOptions options = options_for();
  options.step_budget = 32;
  const auto engine = open_engine(options);
  const Completion alone = ask(*engine, scored(text(150), 3, 8));
  for (int round = 0; round < 8; ++round) {
    Answer cancelled = submit(*engine, scored(text(400, round), 20));
    Answer kept = submit(*engine, scored(text(150), 3, 8));
    if (round % 2 == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2 * round));
    cancelled.cancel();
    const Completion& ended = cancelled.wait();
    if (ended.finish == FinishReason::Cancelled && ended.prompt_logprobs) {
      EXPECT_EQ(ended.prompt_logprobs->tokens.size(), 399u) << "none, or all";
    }
    expect_same(kept.wait(), alone);
  }
}

TEST(PromptLogprobs, AreRefusedWhereTheyMakeNoSense) {
  const auto engine = open_engine(options_for());
  const auto error_of = [&](Request request) {
    const auto answer = engine->submit(std::move(request), nullptr);
    return answer ? std::string("no error") : answer.error().message;
  };
  EXPECT_EQ(error_of(scored({1, 2}, 101)), "prompt_logprobs: found 101, expected 0 to 100");
  EXPECT_EQ(error_of(scored({1, 2}, -1)), "prompt_logprobs: found -1, expected 0 to 100");
  Request request = scored({1, 2});
  request.pooling = Pooling::Last;
  EXPECT_EQ(error_of(request), "an embedding has no prompt_logprobs");
  request = plain({1, 2}, 0);
  request.prompt_only = true;
  auto constraint = std::make_shared<Constraint>();
  constraint->vocab = engine->files().config.vocab;
  request.constraint = constraint;
  EXPECT_EQ(error_of(request), "an embedding or a prompt without an answer cannot be constrained");
}

}  // namespace
}  // namespace millrace::testing
