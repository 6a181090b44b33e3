// Steps that are planned while another runs, on any device: nobody's answer may change.
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"

namespace millrace::testing {
namespace {

std::unique_ptr<Engine> open_engine(bool overlap, std::int64_t sequences) {
  EngineOptions options = exact_engine_options(repository_path("models/nano"));
  options.threads = 2;
  options.max_sequences = sequences;
  options.context = 256;
  options.step_budget = 16;  // prompts come in chunks, between others' decodes
  options.overlap = overlap;
  return value_or_die(Engine::open(options));
}

// Requests that differ in how tokens are chosen, and in how they end.
std::vector<Request> requests(const Engine& engine) {
  std::vector<SamplingParams> ways(8);
  ways[1] = {.temperature = 1.1, .seed = 4};
  ways[2] = {.temperature = 0.3, .min_p = 0.15, .repetition_penalty = 1.05, .seed = 5};
  ways[3] = {.temperature = 0.9, .top_k = 8, .top_p = 0.9, .seed = 6};
  ways[4] = {.presence_penalty = 1.5, .frequency_penalty = 0.5};
  ways[5] = {.logprobs = 3};
  ways[6] = {.temperature = 1, .logit_bias = {{7, -5.0f}}, .seed = 8};
  std::vector<Request> all;
  for (std::size_t i = 0; i < 24; ++i) {
    Request request;
    request.prompt = value_or_die(engine.chat_prompt(i % 3 == 0   ? "Tell me a story about a fox."
                                                     : i % 3 == 1 ? "What is 12 plus 30?"
                                                                  : "Hi!"));
    request.sampling = ways[i % ways.size()];
    request.max_tokens = static_cast<std::int64_t>(1 + i * 7 % 40);
    request.ignore_eos = i % 5 == 0;
    if (i % 4 == 3) request.stop = {"the"};
    all.push_back(std::move(request));
  }
  return all;
}

std::vector<Completion> answers_of(Engine& engine) {
  std::vector<Answer> answers;
  for (Request& request : requests(engine))
    answers.push_back(value_or_die(engine.submit(std::move(request), nullptr)));
  std::vector<Completion> completions;
  for (Answer& answer : answers) completions.push_back(answer.wait());
  return completions;
}

TEST(Overlap, ChangesNoAnswer) {
  const auto plain = open_engine(false, 5);
  const std::vector<Completion> wanted = answers_of(*plain);
  const auto overlapped = open_engine(true, 5);
  const std::vector<Completion> got = answers_of(*overlapped);
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].tokens, wanted[i].tokens) << "request " << i;
    EXPECT_EQ(got[i].text, wanted[i].text) << "request " << i;
    EXPECT_EQ(got[i].finish, wanted[i].finish) << "request " << i;
  }
  // Again, from what the first round has left in the cache.
  const std::vector<Completion> warm = answers_of(*overlapped);
  for (std::size_t i = 0; i < warm.size(); ++i)
    EXPECT_EQ(warm[i].tokens, wanted[i].tokens) << "request " << i << ", warm";
}

// Whoever is cancelled, in whatever company, leaves nothing behind.
TEST(Overlap, CancelledRequestsLeaveOthersAlone) {
  const auto engine = open_engine(true, 4);
  const std::vector<Completion> wanted = answers_of(*open_engine(false, 4));
  for (std::size_t round = 0; round < 6; ++round) {
    std::vector<Answer> answers;
    std::vector<Request> all = requests(*engine);
    for (std::size_t i = 0; i < all.size(); ++i)
      answers.push_back(value_or_die(engine->submit(std::move(all[i]), nullptr)));
    for (std::size_t i = round; i < answers.size(); i += 3) {
      answers[(i * 5) % answers.size()].cancel();
      if (i % 2 == 0) answers[i].wait();
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const Completion& completion = answers[i].wait();
      if (completion.finish == FinishReason::Cancelled) {
        ASSERT_LE(completion.tokens.size(), wanted[i].tokens.size());
        EXPECT_TRUE(std::equal(completion.tokens.begin(), completion.tokens.end(),
                               wanted[i].tokens.begin()));
      } else {
        EXPECT_EQ(completion.tokens, wanted[i].tokens) << "request " << i;
      }
    }
  }
}

TEST(Overlap, AnEngineThatEndsWhileAStepRunsCancels) {
  auto engine = open_engine(true, 2);
  Request request = std::move(requests(*engine).front());
  request.max_tokens = 0;
  request.ignore_eos = true;
  std::atomic<int> tokens = 0;
  Answer answer = value_or_die(engine->submit(
      std::move(request), [&](const TokenEvent& event) { tokens += !event.finish; }));
  while (tokens < 3) std::this_thread::yield();
  engine.reset();
  EXPECT_EQ(answer.wait().finish, FinishReason::Cancelled);
}

}  // namespace
}  // namespace millrace::testing
