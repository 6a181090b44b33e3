// Embeddings: the states after the final norm, beside those that transformers computes.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"

namespace millrace::testing {
namespace {

class Embedding : public ::testing::TestWithParam<const char*> {
 protected:
  Embedding() : golden_(load_golden(GetParam())), prompt_(golden_.prompt("chat").ids) {}

  std::unique_ptr<Engine> open(bool overlap = true) const {
    EngineOptions options = exact_engine_options(data_path("golden/" + std::string(GetParam())));
    options.threads = 2;
    options.max_sequences = 4;
    options.context = 256;
    options.cache_tokens = 1024;
    options.step_budget = 32;  // prompts come in chunks
    options.overlap = overlap;
    return value_or_die(Engine::open(options));
  }
  static Answer ask(Engine& engine, std::vector<TokenId> prompt, Pooling pooling) {
    Request request;
    request.prompt = std::move(prompt);
    request.pooling = pooling;
    return value_or_die(engine.submit(std::move(request), nullptr));
  }
  // Rows [first, last) of the golden states, averaged.
  std::vector<float> wanted(std::size_t first, std::size_t last) const {
    const std::vector<float> states = golden_.floats("chat.final_norm");
    const std::size_t hidden = states.size() / prompt_.size();
    std::vector<float> mean(hidden);
    for (std::size_t i = 0; i < hidden; ++i) {
      double sum = 0;
      for (std::size_t row = first; row < last; ++row) sum += double{states[row * hidden + i]};
      mean[i] = static_cast<float>(sum / static_cast<double>(last - first));
    }
    return mean;
  }
  void expect_close(const std::vector<float>& got, const std::vector<float>& want) const {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-3f) << i;
  }

  Golden golden_;
  std::vector<TokenId> prompt_;
};

TEST_P(Embedding, IsTheLastStateOrTheMeanOfAll) {
  const auto engine = open();
  // The second time the last one's beginning is cached; the mean needs every state.
  for (int turn = 0; turn < 2; ++turn) {
    const Completion last = ask(*engine, prompt_, Pooling::Last).wait();
    expect_close(last.embedding, wanted(prompt_.size() - 1, prompt_.size()));
    EXPECT_EQ(last.usage.prompt_tokens, std::ssize(prompt_));
    EXPECT_EQ(last.usage.cached_tokens > 0, turn == 1);
    EXPECT_EQ(last.finish, FinishReason::Stop);
    EXPECT_TRUE(last.tokens.empty());
    const Completion mean = ask(*engine, prompt_, Pooling::Mean).wait();
    expect_close(mean.embedding, wanted(0, prompt_.size()));
    EXPECT_EQ(mean.usage.cached_tokens, 0);
  }
}

// In steps with others, and with answers, whose logits are not disturbed.
TEST_P(Embedding, DoesNotDependOnTheCompany) {
  for (const bool overlap : {false, true}) {
    const auto engine = open(overlap);
    const auto tell = [&] {
      Request request;
      request.prompt = prompt_;
      request.max_tokens = 24;
      request.ignore_eos = true;
      return value_or_die(engine->submit(std::move(request), nullptr));
    };
    const Completion alone = tell().wait();
    ASSERT_TRUE(engine->reset_prefix_cache().has_value());
    std::vector<Answer> answers = {tell()};
    std::vector<Answer> lasts, means;
    for (std::size_t length : {prompt_.size(), std::size_t{1}, std::size_t{33}}) {
      const std::vector<TokenId> part(prompt_.begin(),
                                      prompt_.begin() + static_cast<std::ptrdiff_t>(length));
      lasts.push_back(ask(*engine, part, Pooling::Last));
      means.push_back(ask(*engine, part, Pooling::Mean));
      expect_close(lasts.back().wait().embedding, wanted(length - 1, length));
      expect_close(means.back().wait().embedding, wanted(0, length));
    }
    EXPECT_EQ(answers.front().wait().tokens, alone.tokens);
  }
}

TEST_P(Embedding, CannotBeConstrainedAndCanBeCancelled) {
  const auto engine = open();
  Request request;
  request.prompt = prompt_;
  request.pooling = Pooling::Mean;
  auto constraint = std::make_shared<Constraint>();
  constraint->vocab = engine->files().config.vocab;
  request.constraint = std::move(constraint);
  EXPECT_FALSE(engine->submit(std::move(request), nullptr).has_value());
  Answer answer = ask(*engine, prompt_, Pooling::Mean);
  answer.cancel();
  const FinishReason finish = answer.wait().finish;
  EXPECT_TRUE(finish == FinishReason::Cancelled || finish == FinishReason::Stop);
  expect_close(ask(*engine, prompt_, Pooling::Mean).wait().embedding, wanted(0, prompt_.size()));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Embedding, ::testing::Values("dense_f32", "moe_f32"));

}  // namespace
}  // namespace millrace::testing
