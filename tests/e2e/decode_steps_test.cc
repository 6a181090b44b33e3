// The decode step as one kernel, on the emulated device unless another is asked for: its logits,
// and what becomes of a step that gets stuck.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "engine/engine.h"
#include "engine/load.h"
#include "engine/parts.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"
#include "tests/support/test_device.h"

namespace millrace::testing {
namespace {

// As small as the kernel takes it, with every kind of phase.
EngineOptions small_model() {
  Json config = {{"architectures", {"Lfm2ForCausalLM"}},
                 {"model_type", "lfm2"},
                 {"vocab_size", 512},
                 {"hidden_size", 256},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"conv_L_cache", 3},
                 {"conv_bias", false},
                 {"norm_eps", 1e-5},
                 {"max_position_embeddings", 1024},
                 {"tie_word_embeddings", true},
                 {"dtype", "bfloat16"},
                 {"rope_theta", 1000000.0},
                 {"layer_types", {"conv", "full_attention", "conv"}},
                 {"intermediate_size", 512},
                 {"block_auto_adjust_ff_dim", false},
                 {"num_hidden_layers", 3}};
  const std::string path = ::testing::TempDir() + "decode_steps_config.json";
  std::ofstream(path) << config.dump();
  EngineOptions options;
  options.model = path;
  options.load.format = LoadFormat::Dummy;
  options.device = std::getenv("MILLRACE_TEST_DEVICE") ? test_device_name() : "emulated";
  options.kernels = exact_kernels(options.device);
  options.kernels.erase("decode_step");
  options.max_sequences = 8;
  options.context = 128;
  options.cache_tokens = 1024;
  options.step_budget = 32;
  return options;
}

std::unique_ptr<EngineParts> open_parts(DType kv_dtype = DType::BF16) {
  EngineOptions options = small_model();
  options.kv_dtype = kv_dtype;
  LoadedModel files = value_or_die(load_model(options.model, options.load));
  return value_or_die(make_parts(std::move(files), options));
}

// Sequences in two runners of one model, one of which has the kernel switched off.
class BothWays {
 public:
  BothWays(EngineParts& parts, int sequences) : parts_(&parts) {
    for (auto& runner : runners_)
      runner =
          std::make_unique<Runner>(*parts.model, *parts.device, *parts.cache, parts.sizes.limits);
    for (int i = 0; i < sequences; ++i) {
      std::vector<TokenId> prompt;
      for (int t = 0; t < 4 + 7 * i; ++t) prompt.push_back((31 * i + 7 * t) % 512);
      for (int way = 0; way < 2; ++way) {
        memories_[way].push_back(*SequenceMemory::open(*parts.cache, parts.sizes.context));
        EXPECT_TRUE(memories_[way].back().reserve(128));
        const StepSpan span = {&memories_[way].back(), prompt, SpanKind::Prefill, Logits::None};
        for (std::size_t first = 0; first < prompt.size(); first += 32) {
          StepSpan part = span;
          part.tokens =
              span.tokens.subspan(first, std::min<std::size_t>(32, prompt.size() - first));
          runners_[way]->run({&part, 1});
        }
      }
    }
  }

  Runner& runner(int way) { return *runners_[way]; }

  void step(int way, int turn) {
    std::vector<TokenId> tokens;
    for (std::size_t i = 0; i < memories_[way].size(); ++i)
      tokens.push_back(static_cast<TokenId>((101 * i + 57 * static_cast<std::size_t>(turn)) % 512));
    std::vector<StepSpan> spans;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      spans.push_back({&memories_[way][i], {&tokens[i], 1}, SpanKind::Decode, Logits::Last});
    runners_[way]->run(spans);
  }

  // Of the last step, relative to the size of the logits.
  double difference() {
    double worst = 0;
    for (std::size_t row = 0; row < memories_[0].size(); ++row) {
      const std::span<float> want = runners_[0]->logits(static_cast<std::int64_t>(row));
      const std::span<float> got = runners_[1]->logits(static_cast<std::int64_t>(row));
      double off = 0, size = 0;
      for (std::size_t i = 0; i < want.size(); ++i) {
        off += std::pow(double{got[i]} - double{want[i]}, 2);
        size += std::pow(double{want[i]}, 2);
      }
      const double error = std::sqrt(off / size);
      worst = std::isfinite(error) ? std::max(worst, error) : INFINITY;
    }
    return worst;
  }

 private:
  EngineParts* parts_;
  std::unique_ptr<Runner> runners_[2];
  std::vector<SequenceMemory> memories_[2];
};

// Both round activations to BF16, in other places; then a key or value may fall on the other side
// of FP8's middle.
constexpr double kTolerance = 2e-2;
constexpr double kFp8Tolerance = 5e-2;

class DecodeStepsTest : public ::testing::TestWithParam<DType> {};

TEST_P(DecodeStepsTest, LogitsAreThoseOfStepsOpByOp) {
  const double tolerance = GetParam() == DType::F8_E4M3 ? kFp8Tolerance : kTolerance;
  const std::unique_ptr<EngineParts> parts = open_parts(GetParam());
  DecodeSteps* steps = parts->model->decode_steps();
  ASSERT_NE(steps, nullptr);
  for (const int sequences : {1, 3}) {
    BothWays both(*parts, sequences);
    for (int turn = 0; turn < 3; ++turn) {
      steps->tune({.enabled = false});
      both.step(0, turn);
      steps->tune({});
      both.step(1, turn);
      EXPECT_LT(both.difference(), tolerance) << sequences << " sequences, step " << turn;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Caches, DecodeStepsTest, ::testing::Values(DType::BF16, DType::F8_E4M3),
                         [](const auto& instance) {
                           return std::string(to_string(instance.param));
                         });

// A phase, not the first, in which multiprocessor 0 has something to hand on.
int phase_to_jam(const DecodePlan& plan) {
  for (std::size_t i = plan.phases.size() - 1; i > 0; --i) {
    const PlannedPhase& phase = plan.phases[i];
    if (phase.kind != DecodePhaseKind::Head && !phase.ranges.empty() &&
        phase.ranges.front().first < phase.ranges.front().last)
      return static_cast<int>(i);
  }
  return 0;
}

TEST(StuckStepTest, AStuckStepIsGivenUp) {
  const std::unique_ptr<EngineParts> parts = open_parts();
  DecodeSteps* steps = parts->model->decode_steps();
  steps->tune({.enabled = false});
  BothWays both(*parts, 1);
  both.step(0, 0);
  steps->tune({.patience = 0.5, .jam = phase_to_jam(steps->plan())});
  try {
    both.step(1, 0);
    FAIL() << "the step was to get stuck";
  } catch (const StuckStep& stuck) {
    EXPECT_THAT(stuck.what(), ::testing::HasSubstr("waited for 0.5 s in phase"));
  }
  both.runner(1).abandon();
  EXPECT_EQ(steps->failure(), "");
}

std::vector<Completion> answers_of(Engine& engine) {
  std::vector<Answer> answers;
  for (int i = 0; i < 2; ++i) {
    Request request;
    for (int t = 0; t < 3 + 8 * i; ++t) request.prompt.push_back((17 * i + 5 * t) % 512);
    request.max_tokens = 4 + i;
    request.ignore_eos = true;
    if (i == 1) request.sampling = {.temperature = 1.0, .repetition_penalty = 1.3, .seed = 3};
    answers.push_back(value_or_die(engine.submit(std::move(request), nullptr)));
  }
  std::vector<Completion> completions;
  for (Answer& answer : answers) completions.push_back(answer.wait());
  return completions;
}

TEST(StuckStepTest, TheEngineGoesOnOpByOp) {
  EngineOptions options = small_model();
  options.kernels["decode_step"] = "none";
  const std::vector<Completion> wanted = answers_of(*value_or_die(Engine::open(options)));
  const std::unique_ptr<Engine> engine = value_or_die(Engine::open(small_model()));
  engine->model().decode_steps()->tune({.patience = 0.2, .jam = 3});
  const std::vector<Completion> got = answers_of(*engine);
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].tokens, wanted[i].tokens) << "request " << i;
    EXPECT_EQ(got[i].finish, FinishReason::Length) << "request " << i;
  }
  EXPECT_FALSE(engine->stats().broken);
}

}  // namespace
}  // namespace millrace::testing
