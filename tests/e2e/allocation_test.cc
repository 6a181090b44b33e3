// Once warm, a step allocates nothing: counted at operator new.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "engine/engine.h"
#include "engine/sampler.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"

namespace {
std::atomic<long> allocations = 0;
}

// The replacements count and forward; all forms of new end up in these two.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace millrace::testing {
namespace {

class StepAllocation : public ::testing::TestWithParam<const char*> {};

TEST_P(StepAllocation, ADecodedTokenAllocatesNothing) {
  SmallStack stack(data_path("golden/" + std::string(GetParam())), {});
  SequenceMemory memory = stack.open();
  std::vector<std::int32_t> prompt = {1, 6, 70, 90, 100, 33, 21};
  stack.append(memory, prompt);
  SamplingParams params;
  params.temperature = 0.7;
  params.top_k = 20;
  params.top_p = 0.9;
  params.repetition_penalty = 1.1;
  Sampler sampler(params, stack.config().vocab, 1);
  ASSERT_TRUE(memory.reserve(64));
  std::int32_t token = 5;
  const auto step = [&] {
    const StepSpan span = {&memory, {&token, 1}, SpanKind::Decode, Logits::Last};
    stack.runner().run({&span, 1});
    token = sampler.sample(stack.runner().logits(0), memory.length())->token;
  };
  step();
  step();
  const long before = allocations;
  for (int i = 0; i < 40; ++i) step();
  EXPECT_EQ(allocations - before, 0);
  // The counter works.
  const long counted = allocations;
  std::vector<int> kept(1);
  asm volatile("" : : "r"(kept.data()) : "memory");  // so that the compiler cannot leave it out
  EXPECT_EQ(allocations - counted, 1);
}

INSTANTIATE_TEST_SUITE_P(Variants, StepAllocation,
                         ::testing::Values("dense_f32", "dense_bf16", "dense_k4", "moe_bf16"),
                         [](const auto& instance) { return std::string(instance.param); });

// The whole way: scheduler, step, sampler, detokenizer, stop strings, callback.
TEST(Allocation, AnAnswerOfTheEngineAllocatesNothingPerToken) {
  EngineOptions options;
  options.model = repository_path("models/nano");
  options.device = "cpu";
  options.threads = 2;
  options.context = 512;
  const std::unique_ptr<Engine> engine = value_or_die(Engine::open(options));
  constexpr std::size_t kTokens = 200;
  std::vector<long> at_token;  // allocations so far
  at_token.reserve(kTokens);
  Request request;
  request.prompt = value_or_die(engine->chat_prompt("Tell me a story about a dog."));
  request.max_tokens = kTokens;
  request.ignore_eos = true;
  request.sampling.temperature = 0.8;
  request.sampling.top_p = 0.9;
  request.sampling.repetition_penalty = 1.05;
  request.sampling.seed = 3;
  request.stop = {"never said in nano's world"};
  const auto count = [&](const TokenEvent&) { at_token.push_back(allocations); };
  Answer answer = value_or_die(engine->submit(std::move(request), count));
  ASSERT_EQ(answer.wait().finish, FinishReason::Length);
  ASSERT_EQ(at_token.size(), kTokens);
  EXPECT_EQ(at_token.back() - at_token[10], 0);
}

}  // namespace
}  // namespace millrace::testing
