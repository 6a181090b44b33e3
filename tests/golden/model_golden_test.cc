// The model against transformers, on every small checkpoint and device. All references are fp32
// over the stored weights. CPU kernels compute in float over the same, and so do GPUs for F32
// files: there the tolerances of "fp32" apply (tests/data/golden/README.md). Where a GPU computes
// in BF16, means are bounded by the number of roundings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"
#include "tests/support/test_device.h"

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

// The same for values that were computed with so many roundings to BF16 on the way.
void expect_near(const std::vector<float>& got, const std::vector<float>& want, int roundings,
                 const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  const double allowed = narrow_mean_tolerance(want, roundings);
  const double mean = mean_difference(got, want);
  EXPECT_TRUE(mean <= allowed) << what << ": off by " << mean << " on average, allowed " << allowed;
}

struct Setting {
  std::string device;
  std::string variant;
  bool fast = false;
};

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const std::string& device : test_device_names())
    for (const char* variant :
         {"dense_f32", "dense_bf16", "dense_adjust", "dense_k4", "moe_f32", "moe_bf16"}) {
      const Setting setting = {device, variant};
      if (kIsSanitized && device == "emulated" && !setting.variant.ends_with("bf16")) continue;
      all.push_back(setting);
    }
  for (const char* variant : {"dense_bf16", "moe_bf16"}) all.push_back({"cpu", variant, true});
  return all;
}

class ModelGolden : public ::testing::TestWithParam<Setting> {
 protected:
  // Where activations are BF16, so is the cache: as it is used.
  StackOptions options() const {
    StackOptions options = {.device = GetParam().device};
    options.fast = GetParam().fast;
    if (GetParam().device != "cpu" && GetParam().variant.ends_with("bf16"))
      options.kv_dtype = DType::BF16;
    return options;
  }
  // The emulated device is slow: long prompts run once or not at all, few tokens are decoded.
  bool is_slow() const { return GetParam().device == "emulated"; }
};

// Feeds the reference's tokens and asks that each is the best, or nearly: where BF16 differs from
// the reference by half a unit at most, a token that leads by more than one must win.
void expect_greedy_within(SmallStack& stack, SequenceMemory& memory, std::vector<float> logits,
                          const std::vector<std::int32_t>& want, const std::string& what) {
  for (std::size_t i = 0; i < want.size(); ++i) {
    const float best = logits[static_cast<std::size_t>(argmax(logits))];
    EXPECT_TRUE(best - logits[static_cast<std::size_t>(want[i])] <= 1.0f)
        << what << ", token " << i;
    if (i + 1 < want.size()) logits = stack.append(memory, {want[i]});
  }
}

TEST_P(ModelGolden, LogitsOfEveryPositionAndGreedyTokens) {
  const Golden golden = load_golden(GetParam().variant);
  SmallStack stack(golden.folder, options());
  for (const GoldenPrompt& prompt : golden.prompts) {
    if (is_slow() && (prompt.name == "long" || prompt.name == "chat")) continue;
    SequenceMemory memory = stack.open();
    const std::vector<float> logits = stack.append(memory, prompt.ids);
    const std::vector<float> want = golden.floats(prompt.name + ".logits");
    const std::vector<float> last = last_row(logits, stack.config().vocab);
    std::vector<std::int32_t> greedy = prompt.greedy;
    if (is_slow()) greedy.resize(8);
    if (!stack.is_narrow()) {
      expect_close(logits, want, kLogitTolerance, 0, prompt.name + ".logits");
      EXPECT_EQ(stack.greedy(memory, last, static_cast<int>(greedy.size())), greedy) << prompt.name;
    } else {
      expect_near(logits, want, roundings_of(stack.config()), prompt.name + ".logits");
      // Experts that nearly tie are chosen otherwise: no bound on single tokens then.
      if (!stack.config().moe) expect_greedy_within(stack, memory, last, greedy, prompt.name);
    }
  }
}

// Compares the residual stream and the experts with the reference as the pass goes on.
class Checker final : public ForwardObserver {
 public:
  Checker(const Golden& golden, std::string prompt, SmallStack& stack)
      : golden_(golden), prompt_(std::move(prompt)), stack_(stack) {}

  void on_stage(std::string_view stage, int layer, const MatrixView& values,
                std::int64_t rows) override {
    std::vector<float> now = stack_.download_rows(values, rows);
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
    ++compared;
    const std::vector<std::int32_t> want = golden_.ints(at + ".experts");
    EXPECT_EQ(want.size() % static_cast<std::size_t>(rows), 0u);
    const auto count = std::ssize(want);
    std::vector<std::int32_t> got(want.size());
    const std::vector<std::byte> bytes = stack_.download(chosen, count * 4);
    std::memcpy(got.data(), bytes.data(), bytes.size());
    if (stack_.is_narrow()) {
      // Rounding decides between experts that nearly tie.
      std::ptrdiff_t equal = 0;
      for (std::size_t i = 0; i < want.size(); ++i) equal += got[i] == want[i];
      EXPECT_GE(equal * 10, count * 8) << at;
      note_other_experts(got, want, static_cast<std::size_t>(rows));
      return;
    }
    EXPECT_EQ(got, want) << at;
    expect_close(stack_.download_rows({const_cast<float*>(weights), count, count}, 1),
                 golden_.floats(at + ".weights"), 1e-4f, 0, at);
  }

  int compared = 0;

 private:
  void compare(const std::vector<float>& got, const std::string& name) {
    if (!golden_.has(name)) return;
    if (!stack_.is_narrow())
      expect_close(got, golden_.floats(name), 1e-3f, 1e-4f, name);
    else
      expect_near(comparable(got), comparable(golden_.floats(name)), roundings_of(stack_.config()),
                  name);
    ++compared;
  }

  // What went through other experts than the reference's may be anywhere from there on: such rows
  // are no longer compared. Few are.
  void note_other_experts(std::vector<std::int32_t> got, std::vector<std::int32_t> want,
                          std::size_t rows) {
    left_out_.resize(rows);
    const auto top_k = static_cast<std::ptrdiff_t>(want.size() / rows);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto first = static_cast<std::ptrdiff_t>(row) * top_k;
      std::sort(got.begin() + first, got.begin() + first + top_k);
      std::sort(want.begin() + first, want.begin() + first + top_k);
      if (!std::equal(want.begin() + first, want.begin() + first + top_k, got.begin() + first))
        left_out_[row] = true;
    }
    EXPECT_LE(std::count(left_out_.begin(), left_out_.end(), true) * 3, std::ssize(left_out_));
  }
  std::vector<float> comparable(const std::vector<float>& values) const {
    if (left_out_.empty()) return values;
    const std::size_t width = values.size() / left_out_.size();
    std::vector<float> kept;
    for (std::size_t row = 0; row < left_out_.size(); ++row)
      if (!left_out_[row])
        kept.insert(kept.end(), values.begin() + static_cast<std::ptrdiff_t>(row * width),
                    values.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    return kept;
  }

  const Golden& golden_;
  std::string prompt_;
  SmallStack& stack_;
  std::vector<float> before_;
  std::vector<bool> left_out_;  // by row; empty before the first experts
};

TEST_P(ModelGolden, EveryBlockOfTheChatPrompt) {
  const Golden golden = load_golden(GetParam().variant);
  SmallStack stack(golden.folder, options());
  SequenceMemory memory = stack.open();
  Checker checker(golden, "chat", stack);
  const std::vector<float> logits = stack.append(memory, golden.prompt("chat").ids, &checker);
  EXPECT_GE(checker.compared, 3 * static_cast<int>(stack.config().layers.size()));
  const std::vector<float> want = golden.floats("chat.logits");
  if (!stack.is_narrow())
    expect_close(logits, want, kLogitTolerance, 0, "chat.logits");
  else
    expect_near(logits, want, roundings_of(stack.config()), "chat.logits");
}

TEST_P(ModelGolden, ConvStateAndCachedKeysAndValues) {
  const Golden golden = load_golden(GetParam().variant);
  SmallStack stack(golden.folder, options());
  const ModelConfig& config = stack.config();
  const auto expect = [&](const std::vector<float>& got, const std::string& what) {
    if (!stack.is_narrow())
      expect_close(got, golden.floats(what), 1e-3f, 1e-4f, what);
    else
      expect_near(got, golden.floats(what), roundings_of(config), what);
  };
  for (const std::string name : {"chat", "bos"}) {
    if (is_slow() && name == "chat") continue;
    SequenceMemory memory = stack.open();
    stack.append(memory, golden.prompt(name).ids);
    int conv_layer = 0;
    int attention_layer = 0;
    for (std::size_t i = 0; i < config.layers.size(); ++i) {
      const std::string at = "." + std::to_string(i);
      if (config.layers[i].mixer == Mixer::Conv) {
        const ConvStateView state = stack.cache().conv(conv_layer++);
        const std::int64_t slot = state.ring * config.hidden;
        const std::vector<float> ring =
            stack.download_rows({state.columns + memory.slot() * slot, slot, slot}, 1);
        const std::int64_t columns = config.taps - 1;
        std::vector<float> got;
        for (std::int64_t c = 0; c < config.hidden; ++c) {
          for (std::int64_t back = columns; back > 0; --back) {
            const std::int64_t p = memory.length() - back;
            got.push_back(
                p < 0 ? 0.0f : ring[static_cast<std::size_t>(p % state.ring * config.hidden + c)]);
          }
        }
        expect(got, name + ".conv" + at);
      } else {
        const KvView kv = stack.cache().kv(attention_layer++);
        for (const auto& [data, kind] :
             {std::pair(kv.key, ".key"), std::pair(kv.value, ".value")}) {
          const std::int64_t elements =
              std::int64_t{stack.cache().blocks().count()} * kv.kv_heads * 16 * kv.head_dim;
          const std::vector<float> all =
              stack.download_rows({data, elements, elements, kv.dtype}, 1);
          std::vector<float> got;
          for (std::int64_t p = 0; p < memory.length(); ++p) {
            const std::int64_t block = memory.block_ids()[static_cast<std::size_t>(p / 16)];
            for (int h = 0; h < kv.kv_heads; ++h) {
              const auto row =
                  all.begin() + ((block * kv.kv_heads + h) * 16 + p % 16) * kv.head_dim;
              got.insert(got.end(), row, row + kv.head_dim);
            }
          }
          expect(got, name + kind + at);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, ModelGolden, ::testing::ValuesIn(settings()),
                         [](const auto& instance) {
                           return test_name(instance.param.device) + "_" + instance.param.variant +
                                  (instance.param.fast ? "_fast" : "");
                         });

}  // namespace
}  // namespace millrace::testing
