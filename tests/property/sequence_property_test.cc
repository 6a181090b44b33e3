// What must hold whatever the prompt, the cut and the company (design.md 6): chunked == whole,
// batched == alone, resumed at any token == cold, undone == never done. Bit for bit on the CPU, for
// F32 models, and with portable kernels. The fast kernels of a GPU that computes in BF16 round
// small and large steps at other places: there means are bounded, and what stays bit for bit is
// decoding, alone or together.
#include <gtest/gtest.h>

#include <random>

#include "base/check.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"
#include "tests/support/test_device.h"

namespace millrace::testing {
namespace {

struct Setting {
  std::string device;
  std::string variant;
  DType kv;
  bool portable = false;  // kernels only
  bool fast = false;
};

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const std::string& device : test_device_names()) {
    if (device == "emulated") {  // slow: one of each kind
      all.push_back({device, "dense_bf16", DType::BF16});
      if (kIsSanitized) continue;
      all.push_back({device, "moe_bf16", DType::BF16, true});
      all.push_back({device, "dense_k4", DType::F32});
      all.push_back({device, "dense_bf16", DType::F8_E4M3, true});
      continue;
    }
    all.push_back({device, "dense_f32", DType::F32});
    all.push_back({device, "dense_bf16", DType::BF16});
    all.push_back({device, "dense_adjust", DType::BF16});
    all.push_back({device, "dense_k4", DType::F32});
    all.push_back({device, "dense_bf16", DType::F8_E4M3, device != "cpu"});
    all.push_back({device, "moe_f32", DType::F32});
    all.push_back({device, "moe_bf16", DType::BF16});
    if (device == "cpu") {
      all.push_back({device, "dense_bf16", DType::BF16, false, true});
      all.push_back({device, "moe_bf16", DType::BF16, false, true});
      continue;
    }
    all.push_back({device, "dense_bf16", DType::BF16, true});
    all.push_back({device, "moe_bf16", DType::BF16, true});
  }
  return all;
}

class SequenceProperty : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    folder_ = data_path("golden/" + GetParam().variant);
    std::mt19937 random(7);
    std::uniform_int_distribution<std::int32_t> token(0, 640);
    for (int i = 0; i < (is_slow() ? 45 : 90); ++i) text_.push_back(token(random));
  }
  StackOptions options() const {
    StackOptions o;
    o.device = GetParam().device;
    o.kv_dtype = GetParam().kv;
    o.fast = GetParam().fast;
    if (GetParam().portable) o.kernels = exact_kernels(o.device);
    return o;
  }
  std::vector<std::int32_t> part(std::int64_t first, std::int64_t last) const {
    return {text_.begin() + first, text_.begin() + last};
  }
  // The emulated device is slow: shorter texts, fewer rounds of the same.
  bool is_slow() const { return GetParam().device == "emulated"; }

  // Memory full of the largest finite numbers: whoever reads what nobody wrote, shows it.
  static void poison(SmallStack& stack) {
    const auto taint = [&](void* data, std::int64_t bytes, std::byte with = kPoison) {
      stack.upload(data, std::vector<std::byte>(static_cast<std::size_t>(bytes), with));
    };
    const CacheGeometry& g = stack.cache().geometry();
    const std::int64_t blocks = stack.cache().blocks().count();
    for (int i = 0; i < g.attention_layers; ++i) {
      const std::int64_t bytes =
          bytes_of(g.kv_dtype, blocks * g.kv_heads * g.block_tokens * g.head_dim);
      taint(stack.cache().kv(i).key, bytes, poison_of(g.kv_dtype));
      taint(stack.cache().kv(i).value, bytes, poison_of(g.kv_dtype));
    }
    for (int i = 0; i < g.conv_layers; ++i)
      taint(stack.cache().conv(i).columns,
            stack.cache().slots().count() * g.ring() * g.conv_channels * 4);
  }

  // Two ways to the same logits: equal, or where the device rounds differently on them, as far
  // apart on average as two such ways can be.
  static ::testing::AssertionResult same(const SmallStack& stack, std::span<const float> got,
                                         std::span<const float> want) {
    if (got.size() != want.size()) return ::testing::AssertionFailure() << "sizes differ";
    if (stack.is_exact())
      return std::equal(got.begin(), got.end(), want.begin())
                 ? ::testing::AssertionSuccess()
                 : ::testing::AssertionFailure() << "not bit for bit";
    const double mean = mean_difference(got, want);
    const double allowed =
        2 * narrow_mean_tolerance({want.begin(), want.end()}, roundings_of(stack.config()));
    if (mean <= allowed) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "off by " << mean << ", allowed " << allowed;
  }
  // Row by row; of mixtures of experts all rows together, since where rounding makes another expert
  // the last one chosen, that row alone may be anywhere.
  static ::testing::AssertionResult same_rows(const SmallStack& stack, std::span<const float> got,
                                              std::span<const float> want) {
    const auto vocab = static_cast<std::size_t>(stack.config().vocab);
    if (stack.config().moe || got.size() != want.size()) return same(stack, got, want);
    for (std::size_t i = 0; i < want.size(); i += vocab)
      if (auto row = same(stack, got.subspan(i, vocab), want.subspan(i, vocab)); !row)
        return row << ", row " << i / vocab;
    return ::testing::AssertionSuccess();
  }
  static std::span<const float> rows_from(const SmallStack& stack, const std::vector<float>& logits,
                                          std::int64_t first, std::int64_t count) {
    const std::int64_t vocab = stack.config().vocab;
    return std::span(logits).subspan(static_cast<std::size_t>(first * vocab),
                                     static_cast<std::size_t>(count * vocab));
  }

  std::string folder_;
  std::vector<std::int32_t> text_;
};

TEST_P(SequenceProperty, ChunkedIsWhole) {
  SmallStack stack(folder_, options());
  poison(stack);
  SequenceMemory whole = stack.open();
  const std::vector<float> want = stack.append(whole, text_);
  std::mt19937 random(3);
  for (int round = is_slow() ? 10 : 0; round < 12; ++round) {
    SequenceMemory memory = stack.open();
    std::vector<float> got;
    for (std::int64_t at = 0; at < std::ssize(text_);) {
      const std::int64_t most = std::min<std::int64_t>(std::ssize(text_) - at, round == 0 ? 1 : 40);
      const auto count = std::uniform_int_distribution<std::int64_t>(1, most)(random);
      const std::vector<float> logits = stack.append(memory, part(at, at + count));
      got.insert(got.end(), logits.begin(), logits.end());
      at += count;
    }
    ASSERT_TRUE(same(stack, got, want)) << "round " << round;
  }
}

TEST_P(SequenceProperty, BatchedIsAlone) {
  SmallStack stack(folder_, options());
  const std::int64_t vocab = stack.config().vocab;
  const std::int64_t n = std::ssize(text_);
  const std::vector<std::pair<std::int64_t, std::int64_t>> cuts = {
      {0, 1}, {1, n / 5}, {n / 5, n * 5 / 9}, {n * 5 / 9, n * 5 / 9 + 1}, {n * 5 / 9 + 1, n}};
  std::vector<std::vector<float>> alone;
  for (const auto& [first, last] : cuts) {
    SequenceMemory memory = stack.open();
    alone.push_back(stack.append(memory, part(first, last)));
  }
  poison(stack);
  std::vector<SequenceMemory> memories;
  std::vector<StepSpan> spans;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    memories.push_back(stack.open());
    ASSERT_TRUE(memories.back().reserve(64));
  }
  for (std::size_t i = 0; i < cuts.size(); ++i)
    spans.push_back(
        {&memories[i],
         std::span(text_).subspan(static_cast<std::size_t>(cuts[i].first),
                                  static_cast<std::size_t>(cuts[i].second - cuts[i].first)),
         SpanKind::Prefill, Logits::All});
  stack.runner().run(spans);
  std::vector<float> got, want;
  for (const std::vector<float>& logits : alone)
    want.insert(want.end(), logits.begin(), logits.end());
  for (std::int64_t row = 0; row < std::ssize(want) / vocab; ++row) {
    const std::span<float> logits = stack.runner().logits(row);
    got.insert(got.end(), logits.begin(), logits.end());
  }
  ASSERT_TRUE(same_rows(stack, got, want));
}

// The last layer goes on with the rows alone that give logits: those, and what every sequence goes
// on with, are as if all did.
TEST_P(SequenceProperty, RowsThatGiveNoLogitsAreNotMissed) {
  SmallStack stack(folder_, options());
  poison(stack);
  const std::int64_t vocab = stack.config().vocab;
  SequenceMemory whole = stack.open();
  const std::vector<float> all = stack.append(whole, text_);
  const std::int64_t n = std::ssize(text_);
  for (const auto& wanted : {std::vector{Logits::None, Logits::Last, Logits::All},
                             std::vector{Logits::None, Logits::None, Logits::None},
                             std::vector{Logits::Last, Logits::None, Logits::Last}}) {
    const std::vector<std::int64_t> lengths = {n / 2, n / 4, 3};
    std::vector<SequenceMemory> memories;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      memories.push_back(stack.open());
      ASSERT_TRUE(memories.back().reserve(n / 2 + 1));
    }
    std::vector<StepSpan> spans;
    std::vector<float> want;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      spans.push_back({&memories[i], std::span(text_).first(static_cast<std::size_t>(lengths[i])),
                       SpanKind::Prefill, wanted[i]});
      const std::int64_t rows = wanted[i] == Logits::All ? lengths[i] : wanted[i] == Logits::Last;
      const std::span<const float> part = rows_from(stack, all, lengths[i] - rows, rows);
      want.insert(want.end(), part.begin(), part.end());
    }
    stack.runner().run(spans);
    ASSERT_EQ(stack.runner().logit_count() * vocab, std::ssize(want));
    std::vector<float> got;
    for (std::int64_t row = 0; row < stack.runner().logit_count(); ++row) {
      const std::span<float> logits = stack.runner().logits(row);
      got.insert(got.end(), logits.begin(), logits.end());
    }
    if (!got.empty()) {
      EXPECT_TRUE(same_rows(stack, got, want));
    }
    std::vector<float> next, next_want;
    for (std::size_t i = 0; i < memories.size(); ++i) {
      const std::vector<float> row = stack.append(memories[i], part(lengths[i], lengths[i] + 1));
      next.insert(next.end(), row.begin(), row.end());
      const std::span<const float> part = rows_from(stack, all, lengths[i], 1);
      next_want.insert(next_want.end(), part.begin(), part.end());
    }
    EXPECT_TRUE(same_rows(stack, next, next_want));
  }
}

// The heart of resume-anywhere: after [0, n) was computed, going back to any p and on again gives
// what a cold run gives, at every p.
TEST_P(SequenceProperty, ResumedAtAnyTokenIsCold) {
  const std::int64_t step = is_slow() ? 19 : 1;
  for (const int draft : {0, 3}) {
    if (is_slow() && draft == 0) continue;
    StackOptions with_ring = options();
    with_ring.draft_columns = draft;
    SmallStack stack(folder_, with_ring);
    poison(stack);
    SequenceMemory cold = stack.open();
    const std::vector<float> want = stack.append(cold, text_);
    int replays = 0;
    for (std::int64_t p = 0; p < std::ssize(text_); p += step) {
      SequenceMemory memory = stack.open();
      stack.append(memory, text_);
      memory.rewind(p);
      replays += memory.replay_count() > 0;
      stack.replay_if_needed(memory, text_);
      const std::vector<float> got = stack.append(memory, part(p, std::ssize(text_)));
      ASSERT_TRUE(same(stack, got, rows_from(stack, want, p, std::ssize(text_) - p))) << "p " << p;
    }
    EXPECT_GT(replays, is_slow() ? 1 : 80) << "the test must not pass by never replaying";
  }
}

// An edited history: the new text goes on from the last common token.
TEST_P(SequenceProperty, OtherTextAfterTheCutIsCold) {
  SmallStack stack(folder_, options());
  std::vector<std::int32_t> edited = text_;
  const std::int64_t cut = std::ssize(text_) * 4 / 9;
  for (std::size_t i = static_cast<std::size_t>(cut); i < edited.size(); ++i)
    edited[i] = (edited[i] * 7 + 1) % 641;
  SequenceMemory cold = stack.open();
  const std::vector<float> want = stack.append(cold, edited);
  SequenceMemory memory = stack.open();
  stack.append(memory, text_);
  memory.rewind(cut);
  stack.replay_if_needed(memory, text_);
  const std::vector<float> got = stack.append(memory, {edited.begin() + cut, edited.end()});
  EXPECT_TRUE(same(stack, got, rows_from(stack, want, cut, std::ssize(edited) - cut)));
}

TEST_P(SequenceProperty, UndoneDraftsWereNeverThere) {
  StackOptions with_ring = options();
  with_ring.draft_columns = 5;
  SmallStack stack(folder_, with_ring);
  SequenceMemory plain = stack.open();
  const std::vector<float> want = stack.append(plain, text_);
  SequenceMemory memory = stack.open();
  std::mt19937 random(11);
  std::vector<float> got;
  std::int64_t at = 0;
  while (at < (is_slow() ? 6 : std::ssize(text_))) {
    const std::vector<float> logits = stack.append(memory, part(at, at + 1));
    got.insert(got.end(), logits.begin(), logits.end());
    ++at;
    const int wrong = std::uniform_int_distribution<int>(1, 5)(random);
    stack.append(memory, std::vector<std::int32_t>(static_cast<std::size_t>(wrong), 77));
    memory.rewind(at);
    ASSERT_EQ(memory.replay_count(), 0) << "drafts within the ring must undo for free";
  }
  ASSERT_TRUE(same_rows(stack, got, rows_from(stack, want, 0, at)));
}

// A slot and blocks that somebody else used before give what fresh ones give.
TEST_P(SequenceProperty, NothingLeaksThroughReusedMemory) {
  StackOptions single = options();
  single.sequences = 1;
  SmallStack stack(folder_, single);
  std::vector<float> want;
  {
    SequenceMemory memory = stack.open();
    want = stack.append(memory, part(0, 30));
  }
  for (int round = is_slow() ? 3 : 0; round < 4; ++round) {
    {
      SequenceMemory other = stack.open();
      stack.append(other, part(round * std::ssize(text_) * 2 / 9, std::ssize(text_)));
    }
    if (round == 3) poison(stack);
    SequenceMemory memory = stack.open();
    EXPECT_EQ(stack.append(memory, part(0, 30)), want);
  }
}

// Bit for bit on every device: a sequence decodes alike whoever decodes beside it, and whether its
// step is launched piece by piece (a size's first time) or replayed as a graph.
TEST_P(SequenceProperty, DecodedTogetherIsDecodedAlone) {
  SmallStack stack(folder_, options());
  const std::vector<std::int64_t> lengths = {1, 18, 3, 31, 16};
  const std::int64_t steps = is_slow() ? 3 : 8;
  const auto opened = [&] {
    std::vector<SequenceMemory> memories;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      memories.push_back(stack.open());
      stack.append(memories.back(), part(0, lengths[i]));
      check(memories.back().reserve(steps), "room");
    }
    return memories;
  };
  std::vector<std::vector<float>> alone(lengths.size());
  {
    std::vector<SequenceMemory> memories = opened();
    for (std::size_t i = 0; i < lengths.size(); ++i)
      for (std::int64_t step = 0; step < steps; ++step) {
        const std::vector<float> logits =
            stack.append(memories[i], part(lengths[i] + step, lengths[i] + step + 1));
        alone[i].insert(alone[i].end(), logits.begin(), logits.end());
      }
  }
  poison(stack);
  std::vector<SequenceMemory> memories = opened();
  for (std::int64_t step = 0; step < steps; ++step) {
    std::vector<StepSpan> spans;
    for (std::size_t i = 0; i < lengths.size(); ++i)
      spans.push_back({&memories[i],
                       std::span(text_).subspan(static_cast<std::size_t>(lengths[i] + step), 1),
                       SpanKind::Decode, Logits::Last});
    stack.runner().run(spans);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const std::span<float> got = stack.runner().logits(static_cast<std::int64_t>(i));
      const std::span<const float> want = rows_from(stack, alone[i], step, 1);
      EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin()))
          << "sequence " << i << ", step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, SequenceProperty, ::testing::ValuesIn(settings()),
                         [](const auto& instance) {
                           return test_name(instance.param.device) + "_" + instance.param.variant +
                                  "_" + std::string(to_string(instance.param.kv)) +
                                  (instance.param.portable ? "_portable" : "") +
                                  (instance.param.fast ? "_fast" : "");
                         });

}  // namespace
}  // namespace millrace::testing
