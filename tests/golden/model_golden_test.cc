// The model against transformers, on every small checkpoint. All references are fp32 over the
// stored weights; Millrace's CPU kernels compute in float over the same, so the tolerances of
// "fp32" apply to bf16 files too (tests/data/golden/README.md).
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"

namespace millrace::testing {
namespace {

constexpr float kLogitTolerance = 1e-3f;  // correct implementations differ by 1.2e-4

// NaN anywhere fails: comparisons are written so that NaN is never within.
void expect_close(const std::vector<float>& got, const std::vector<float>& want, float absolute,
                  float relative, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  float worst = 0;
  std::size_t at = 0;
  std::size_t bad = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const float difference = std::abs(got[i] - want[i]);
    if (!(difference <= absolute + relative * std::abs(want[i]))) ++bad;
    if (!(difference <= worst)) {
      worst = difference;
      at = i;
    }
  }
  EXPECT_EQ(bad, 0u) << what << ": worst at " << at << ": got " << got[at] << ", want " << want[at];
}

class ModelGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(ModelGolden, LogitsOfEveryPositionAndGreedyTokens) {
  const Golden golden = load_golden(GetParam());
  SmallStack stack(golden.folder, {});
  for (const GoldenPrompt& prompt : golden.prompts) {
    SequenceMemory memory = stack.open();
    const std::vector<float> logits = stack.append(memory, prompt.ids);
    expect_close(logits, golden.floats(prompt.name + ".logits"), kLogitTolerance, 0,
                 prompt.name + ".logits");
    EXPECT_EQ(stack.greedy(memory, last_row(logits, stack.config().vocab),
                           static_cast<int>(prompt.greedy.size())),
              prompt.greedy)
        << prompt.name;
  }
}

// Compares the residual stream and the experts with the reference as the pass goes on.
class Checker final : public ForwardObserver {
 public:
  Checker(const Golden& golden, std::string prompt) : golden_(golden), prompt_(std::move(prompt)) {}

  void on_stage(std::string_view stage, int layer, const MatrixView& values,
                std::int64_t rows) override {
    std::vector<float> now;
    for (std::int64_t t = 0; t < rows; ++t)
      now.insert(now.end(), values.row<float>(t), values.row<float>(t) + values.columns);
    const std::string at = "." + std::to_string(layer);
    if (stage == "embed" || stage == "final_norm") {
      compare(now, prompt_ + "." + std::string(stage));
    } else {
      // What a block added to the stream is its output before the residual.
      std::vector<float> added = now;
      for (std::size_t i = 0; i < now.size(); ++i) added[i] -= before_[i];
      compare(added, prompt_ + "." + std::string(stage) + at);
      if (stage == "ffn") compare(now, prompt_ + ".hidden" + at);
    }
    before_ = std::move(now);
  }

  void on_experts(int layer, const std::int32_t* chosen, const float* weights,
                  std::int64_t rows) override {
    const std::string at = prompt_ + ".moe." + std::to_string(layer);
    if (!golden_.has(at + ".experts")) return;
    const std::vector<std::int32_t> want = golden_.ints(at + ".experts");
    EXPECT_EQ(std::vector<std::int32_t>(chosen, chosen + want.size()), want) << at;
    EXPECT_EQ(want.size() % static_cast<std::size_t>(rows), 0u);
    expect_close({weights, weights + want.size()}, golden_.floats(at + ".weights"), 1e-4f, 0, at);
    ++compared;
  }

  int compared = 0;

 private:
  void compare(const std::vector<float>& got, const std::string& name) {
    if (!golden_.has(name)) return;
    expect_close(got, golden_.floats(name), 1e-3f, 1e-4f, name);
    ++compared;
  }

  const Golden& golden_;
  std::string prompt_;
  std::vector<float> before_;
};

TEST_P(ModelGolden, EveryBlockOfTheChatPrompt) {
  const Golden golden = load_golden(GetParam());
  SmallStack stack(golden.folder, {});
  SequenceMemory memory = stack.open();
  Checker checker(golden, "chat");
  stack.append(memory, golden.prompt("chat").ids, &checker);
  EXPECT_GE(checker.compared, 3 * static_cast<int>(stack.config().layers.size()));
}

TEST_P(ModelGolden, ConvStateAndCachedKeysAndValues) {
  const Golden golden = load_golden(GetParam());
  SmallStack stack(golden.folder, {});
  const ModelConfig& config = stack.config();
  for (const std::string name : {"chat", "bos"}) {
    SequenceMemory memory = stack.open();
    stack.append(memory, golden.prompt(name).ids);
    int conv_layer = 0;
    int attention_layer = 0;
    for (std::size_t i = 0; i < config.layers.size(); ++i) {
      const std::string at = "." + std::to_string(i);
      if (config.layers[i].mixer == Mixer::Conv) {
        const ConvStateView state = stack.cache().conv(conv_layer++);
        const std::int64_t columns = config.taps - 1;
        std::vector<float> got;
        for (std::int64_t c = 0; c < config.hidden; ++c) {
          for (std::int64_t back = columns; back > 0; --back) {
            const std::int64_t p = memory.length() - back;
            got.push_back(
                p < 0
                    ? 0.0f
                    : state.columns[(memory.slot() * state.ring + p % state.ring) * config.hidden +
                                    c]);
          }
        }
        expect_close(got, golden.floats(name + ".conv" + at), 1e-3f, 1e-4f, name + ".conv" + at);
      } else {
        const KvView kv = stack.cache().kv(attention_layer++);
        for (const auto& [data, kind] :
             {std::pair(kv.key, ".key"), std::pair(kv.value, ".value")}) {
          std::vector<float> got;
          for (std::int64_t p = 0; p < memory.length(); ++p) {
            const std::int64_t block = memory.block_ids()[static_cast<std::size_t>(p / 16)];
            for (int h = 0; h < kv.kv_heads; ++h) {
              const float* row = static_cast<const float*>(data) +
                                 ((block * kv.kv_heads + h) * 16 + p % 16) * kv.head_dim;
              got.insert(got.end(), row, row + kv.head_dim);
            }
          }
          expect_close(got, golden.floats(name + kind + at), 1e-3f, 1e-4f, name + kind + at);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, ModelGolden,
                         ::testing::Values("dense_f32", "dense_bf16", "dense_adjust", "dense_k4",
                                           "moe_f32", "moe_bf16"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace millrace::testing
