// What every kernel promises bit for bit: a row's result does not depend on the rows beside it nor
// on how a prompt is cut. And NaN never hides: it comes out where it went in, and nowhere else.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "device/cpu/cpu_device.h"
#include "ops/attention/attention.h"
#include "ops/case_data.h"
#include "ops/linear/linear.h"
#include "ops/moe_experts/moe_experts.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/rope_kv/rope_kv.h"
#include "ops/short_conv/short_conv.h"
#include "ops/silu_mul/silu_mul.h"
#include "tensor/half.h"

namespace millrace {
namespace {

using Floats = std::vector<float>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

MatrixView view(const Floats& data, std::int64_t columns, std::int64_t row = 0) {
  return {const_cast<float*>(data.data()) + row * columns, columns, columns, DType::F32};
}

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Calls body(launch, stream, name) for each kernel that runs the key here, reference included.
template <typename Op, typename Body>
void with_kernels(const typename Op::Key& key, const Body& body) {
  const std::unique_ptr<Device> device = make_cpu_device(3);
  const std::unique_ptr<Stream> stream = device->make_stream();
  int count = 0;
  for (const KernelSpec<Op>& spec : kernels_of(Op{})) {
    if (spec.backend != Backend::Cpu || !spec.rejects(key, device->traits()).empty()) continue;
    ++count;
    body(spec.launch, *stream, std::string(spec.name) + " " + to_string(key));
  }
  EXPECT_GE(count, 2) << to_string(key);
}

constexpr DType kStored[] = {DType::F32,  DType::F16,  DType::BF16, DType::Q8_0,
                             DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1,
                             DType::Q4_K, DType::Q5_K, DType::Q6_K};

TEST(BatchInvariance, LinearRowsAloneAndTogether) {
  constexpr std::int64_t kRows = 33;
  constexpr std::int64_t kN = 75;
  for (const DType dtype : kStored) {
    const std::int64_t k = is_quantised(dtype) ? 1280 : 1133;
    CaseRandom random(1);
    const CaseWeight weight(random, dtype, kN, k, 0.2f);
    const Floats in = random_floats(random, kRows * k, 1);
    with_kernels<Linear>(
        {dtype, DType::F32, kN, k}, [&](auto launch, Stream& stream, const std::string& name) {
          Floats alone(index(kRows * kN));
          for (std::int64_t t = 0; t < kRows; ++t)
            launch({view(in, k, t), weight.view(), nullptr, {}, view(alone, kN, t), 1}, stream);
          for (std::int64_t rows = 1; rows <= kRows; ++rows) {
            Floats together(index(rows * kN));
            launch({view(in, k), weight.view(), nullptr, {}, view(together, kN), rows}, stream);
            ASSERT_TRUE(same_bits(together, Floats(alone.begin(), alone.begin() + rows * kN)))
                << name << ", " << rows << " rows";
          }
        });
  }
}

struct ExpertsData {
  static constexpr int kExperts = 6, kTopK = 2;
  static constexpr std::int64_t kHidden = 70, kWidth = 130, kRows = 21;

  CaseRandom random{2};
  CaseWeight w1{random, DType::BF16, kExperts* kWidth, kHidden, 0.3f};
  CaseWeight w3{random, DType::BF16, kExperts* kWidth, kHidden, 0.3f};
  CaseWeight w2{random, DType::BF16, kExperts* kHidden, kWidth, 0.3f};
  Floats in = random_floats(random, kRows* kHidden, 1);
  Floats weights = random_floats(random, kRows* kTopK, 1);
  std::vector<std::int32_t> chosen;
  std::vector<ExpertView> experts;
  Buffer workspace{moe_experts_workspace_bytes(kRows, kTopK, kExperts, kHidden, kWidth)};

  ExpertsData() {
    const auto slice = [](const CaseWeight& all, int e, std::int64_t n, std::int64_t k) {
      return TensorView{all.view().as<BF16>() + e * n * k, DType::BF16, {n, k}};
    };
    for (int e = 0; e < kExperts; ++e)
      experts.push_back({slice(w1, e, kWidth, kHidden), slice(w3, e, kWidth, kHidden),
                         slice(w2, e, kHidden, kWidth)});
    for (std::int64_t t = 0; t < kRows; ++t) {
      const auto first = static_cast<std::int32_t>(random.below(kExperts - 1));
      chosen.push_back(first);
      chosen.push_back(first + 1 + static_cast<std::int32_t>(random.below(kExperts - 1 - first)));
    }
  }
  MoeExpertsParams params(Floats& out, std::int64_t first, std::int64_t rows) {
    return {.in = view(in, kHidden, first),
            .experts = experts.data(),
            .expert_count = kExperts,
            .chosen = chosen.data() + first * kTopK,
            .weights = weights.data() + first * kTopK,
            .top_k = kTopK,
            .out = view(out, kHidden, first),
            .rows = rows,
            .width = kWidth,
            .workspace = workspace.as<void>()};
  }
  static MoeExperts::Key key() { return {DType::BF16, DType::BF16, DType::F32, kHidden, kWidth}; }
};

TEST(BatchInvariance, ExpertsRowsAloneAndTogether) {
  ExpertsData data;
  with_kernels<MoeExperts>(ExpertsData::key(),
                           [&](auto launch, Stream& stream, const std::string& name) {
                             Floats together(data.in.size(), 0.5f);
                             Floats alone = together;
                             launch(data.params(together, 0, ExpertsData::kRows), stream);
                             for (std::int64_t t = 0; t < ExpertsData::kRows; ++t)
                               launch(data.params(alone, t, 1), stream);
                             EXPECT_TRUE(same_bits(alone, together)) << name;
                           });
}

// One sequence of attention's or the convolution's rows, cut in every way into two or three steps
// and, with `company`, computed beside another sequence.
struct Cut {
  std::vector<std::int32_t> counts;
};
std::vector<Cut> cuts_of(std::int32_t length) {
  std::vector<Cut> cuts = {{{length}}};
  for (std::int32_t at = 1; at < length; at += at < 20 ? 1 : 7) {
    cuts.push_back({{at, length - at}});
    if (at + 5 < length) cuts.push_back({{at, 5, length - at - 5}});
  }
  cuts.push_back({std::vector<std::int32_t>(index(length), 1)});
  return cuts;
}

TEST(ChunkInvariance, Attention) {
  constexpr int kHeads = 6, kKvHeads = 2, kDim = 32;
  constexpr std::int32_t kLength = 50;
  for (const DType kv : {DType::F32, DType::BF16}) {
    for (const int window : {0, 9}) {
      CaseRandom random(3);
      // The sequence, another one beside it, and the room of both in one pool.
      CaseBatch pool(random, {{kLength, 0}, {3, 30}});
      const std::int64_t tokens = pool.blocks() * kKvHeads * 16;
      const CaseWeight key(random, kv, tokens, kDim, 1.5f);
      const CaseWeight value(random, kv, tokens, kDim, 1.5f);
      const Floats q = random_floats(random, (kLength + 3) * kHeads * kDim, 2);
      const KvView cache = {const_cast<void*>(key.view().data),
                            const_cast<void*>(value.view().data),
                            kKvHeads,
                            kDim,
                            16,
                            kv};
      const auto params = [&](Floats& out, const BatchView& batch, std::int64_t first) {
        return AttentionParams{.q = view(q, kHeads * kDim, first),
                               .cache = cache,
                               .out = view(out, kHeads * kDim, first),
                               .batch = batch,
                               .heads = kHeads,
                               .window = window,
                               .scale = 0.17f};
      };
      with_kernels<Attention>({DType::F32, kv, kDim, kHeads / kKvHeads},
                              [&](auto launch, Stream& stream, const std::string& name) {
                                Floats want(q.size());
                                launch(params(want, pool.view(), 0),
                                       stream);  // whole, and in company
                                for (const Cut& cut : cuts_of(kLength)) {
                                  Floats got(q.size());
                                  std::int32_t position = 0;
                                  for (const std::int32_t count : cut.counts) {
                                    SpanView span = pool.spans()[0];
                                    span.first_row = 0;
                                    span.count = count;
                                    span.position = position;
                                    BatchView batch = pool.view();
                                    batch.spans = &span;
                                    batch.span_count = 1;
                                    batch.rows = batch.max_count = count;
                                    launch(params(got, batch, position), stream);
                                    position += count;
                                  }
                                  got.resize(index(kLength * kHeads * kDim));
                                  want.resize(got.size());
                                  ASSERT_TRUE(same_bits(got, want))
                                      << name << ", window " << window << ", " << cut.counts.size()
                                      << " steps, the first of " << cut.counts.front();
                                }
                              });
    }
  }
}

TEST(ChunkInvariance, ShortConv) {
  constexpr std::int64_t kChannels = 37;
  constexpr std::int32_t kLength = 24;
  for (const int taps : {2, 3, 4, 5, 7}) {
    for (const std::int64_t ring : {taps - 1, taps + 2}) {
      CaseRandom random(4);
      const Floats gates = random_floats(random, kLength * 3 * kChannels, 1.5f);
      const Floats kernel = random_floats(random, taps * kChannels, 1);
      with_kernels<ShortConv>({DType::F32, kChannels, taps}, [&](auto launch, Stream& stream,
                                                                 const std::string& name) {
        const auto run = [&](const Cut& cut, Floats& state) {
          Floats out(index(kLength * kChannels), kNan);
          state.assign(index(ring * kChannels), kNan);  // nobody may look at what is not written
          std::int32_t position = 0;
          for (const std::int32_t count : cut.counts) {
            const SpanView span = {0, count, position, 0, 0, 0, 1};
            const BatchView batch = {
                .rows = count, .spans = &span, .span_count = 1, .max_count = count};
            launch({view(gates, 3 * kChannels, position),
                    kernel.data(),
                    nullptr,
                    taps,
                    {state.data(), ring, kChannels},
                    view(out, kChannels, position),
                    batch},
                   stream);
            position += count;
          }
          return out;
        };
        Floats whole_state;
        const Floats want = run({{kLength}}, whole_state);
        for (const float x : want) ASSERT_FALSE(std::isnan(x)) << name;
        for (const Cut& cut : cuts_of(kLength)) {
          Floats state;
          ASSERT_TRUE(same_bits(run(cut, state), want)) << name << ", ring " << ring;
          ASSERT_TRUE(same_bits(state, whole_state)) << name << ", ring " << ring;
        }
      });
    }
  }
}

// The rows of `out` that hold a NaN must be the given one, and there every element must be it.
void expect_nan_in_row(const Floats& out, std::int64_t columns, std::int64_t row, bool whole,
                       const std::string& name) {
  std::int64_t inside = 0, outside = 0;
  for (std::size_t i = 0; i < out.size(); ++i)
    if (std::isnan(out[i])) ++(static_cast<std::int64_t>(i) / columns == row ? inside : outside);
  EXPECT_EQ(outside, 0) << name;
  if (whole) {
    EXPECT_EQ(inside, columns) << name;
  } else {
    EXPECT_GT(inside, 0) << name;
  }
}

TEST(NanShows, InLinear) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::Q4_0, DType::Q6_K}) {
    constexpr std::int64_t kK = 512, kN = 9;
    CaseRandom random(5);
    const CaseWeight weight(random, dtype, kN, kK, 0.2f);
    for (const std::int64_t rows : {1, 3, 8}) {
      Floats in = random_floats(random, rows * kK, 1);
      in[index((rows / 2) * kK + 300)] = kNan;
      with_kernels<Linear>(
          {dtype, DType::F32, kN, kK}, [&](auto launch, Stream& stream, const std::string& name) {
            Floats out(index(rows * kN));
            launch({view(in, kK), weight.view(), nullptr, {}, view(out, kN), rows}, stream);
            expect_nan_in_row(out, kN, rows / 2, true, name);
          });
    }
  }
}

TEST(NanShows, InNormsGatesAndExperts) {
  constexpr std::int64_t kColumns = 70, kRows = 3;
  CaseRandom random(6);
  Floats in = random_floats(random, kRows * kColumns, 1);
  const Floats other = random_floats(random, kRows * kColumns, 1);
  in[index(kColumns + 69)] = kNan;
  with_kernels<RmsNorm>({DType::F32, kColumns}, [&](auto launch, Stream& stream,
                                                    const std::string& name) {
    Floats out(in.size());
    launch({view(in, kColumns), nullptr, other.data(), view(out, kColumns), kRows, 1e-5f}, stream);
    expect_nan_in_row(out, kColumns, 1, true, name);
  });
  with_kernels<SiluMul>(
      {DType::F32, kColumns}, [&](auto launch, Stream& stream, const std::string& name) {
        Floats out(in.size());
        launch({view(in, kColumns), view(other, kColumns), view(out, kColumns), kRows}, stream);
        expect_nan_in_row(out, kColumns, 1, false, name);
        launch({view(other, kColumns), view(in, kColumns), view(out, kColumns), kRows}, stream);
        expect_nan_in_row(out, kColumns, 1, false, name);
      });
  ExpertsData data;
  data.in[index(4 * ExpertsData::kHidden + 3)] = kNan;
  with_kernels<MoeExperts>(ExpertsData::key(),
                           [&](auto launch, Stream& stream, const std::string& name) {
                             Floats out(data.in.size());
                             launch(data.params(out, 0, ExpertsData::kRows), stream);
                             expect_nan_in_row(out, ExpertsData::kHidden, 4, true, name);
                           });
}

TEST(NanShows, InAttentionFromItsPositionOn) {
  constexpr int kHeads = 4, kKvHeads = 2, kDim = 64;
  constexpr std::int32_t kLength = 40;
  for (const bool in_value : {false, true}) {
    for (const std::int32_t at : {0, 5, 16, 31, 39}) {
      CaseRandom random(7);
      CaseBatch batch(random, {{kLength, 0}});
      Floats key = random_floats(random, batch.blocks() * kKvHeads * 16 * kDim, 1);
      Floats value = random_floats(random, batch.blocks() * kKvHeads * 16 * kDim, 1);
      const Floats q = random_floats(random, kLength * kHeads * kDim, 1);
      const std::int64_t row = (batch.block_of(0, at) * kKvHeads + 1) * 16 + at % 16;
      (in_value ? value : key)[index(row * kDim + 7)] = kNan;
      with_kernels<Attention>(
          {DType::F32, DType::F32, kDim, kHeads / kKvHeads},
          [&](auto launch, Stream& stream, const std::string& name) {
            Floats out(q.size());
            launch({.q = view(q, kHeads * kDim),
                    .cache = {key.data(), value.data(), kKvHeads, kDim, 16, DType::F32},
                    .out = view(out, kHeads * kDim),
                    .batch = batch.view(),
                    .heads = kHeads,
                    .window = 0,
                    .scale = 0.125f},
                   stream);
            for (std::int32_t t = 0; t < kLength; ++t) {
              for (int h = 0; h < kHeads; ++h) {
                const float x = out[index((t * kHeads + h) * kDim + 7)];
                EXPECT_EQ(std::isnan(x), t >= at && h >= kHeads / 2)
                    << name << ", NaN at " << at << ", row " << t << ", head " << h;
              }
            }
          });
    }
  }
}

TEST(NanShows, InShortConvForAsLongAsItIsRemembered) {
  constexpr std::int64_t kChannels = 20;
  constexpr std::int32_t kLength = 9;
  CaseRandom random(8);
  Floats gates = random_floats(random, kLength * 3 * kChannels, 1);
  const Floats kernel = random_floats(random, 3 * kChannels, 1);
  gates[index(4 * 3 * kChannels + 2 * kChannels + 6)] = kNan;  // z of position 4, channel 6
  with_kernels<ShortConv>(
      {DType::F32, kChannels, 3}, [&](auto launch, Stream& stream, const std::string& name) {
        Floats out(index(kLength * kChannels));
        Floats state(index(2 * kChannels));
        const SpanView span = {0, kLength, 0, 0, 0, 0, 1};
        const BatchView batch = {
            .rows = kLength, .spans = &span, .span_count = 1, .max_count = kLength};
        launch({view(gates, 3 * kChannels),
                kernel.data(),
                nullptr,
                3,
                {state.data(), 2, kChannels},
                view(out, kChannels),
                batch},
               stream);
        for (std::int32_t t = 0; t < kLength; ++t)
          for (std::int64_t c = 0; c < kChannels; ++c)
            EXPECT_EQ(std::isnan(out[index(t * kChannels + c)]), c == 6 && t >= 4 && t <= 6)
                << name << ", row " << t << ", channel " << c;
      });
}

TEST(NanShows, InTheCacheThatRopeWrites) {
  constexpr int kDim = 64;
  CaseRandom random(9);
  CaseBatch batch(random, {{3, 4}});
  Floats q = random_floats(random, 3 * kDim, 1);
  Floats k = random_floats(random, 3 * kDim, 1);
  Floats v = random_floats(random, 3 * kDim, 1);
  const Floats norm(kDim, 1.0f);
  const Floats cosines(8 * kDim / 2, 0.6f), sines(8 * kDim / 2, 0.8f);
  k[kDim + 9] = kNan;
  v[2 * kDim + 1] = kNan;
  with_kernels<RopeKv>(
      {DType::F32, DType::BF16, kDim}, [&](auto launch, Stream& stream, const std::string& name) {
        std::vector<BF16> key(index(batch.blocks() * 16 * kDim)), value(key.size());
        Floats q_copy = q, k_copy = k;
        launch({view(q_copy, kDim),
                view(k_copy, kDim),
                view(v, kDim),
                norm.data(),
                norm.data(),
                1e-5f,
                cosines.data(),
                sines.data(),
                {key.data(), value.data(), 1, kDim, 16, DType::BF16},
                batch.view(),
                1},
               stream);
        const auto nans = [&](const std::vector<BF16>& cache, std::int32_t position) {
          int count = 0;
          const std::int64_t at = (batch.block_of(0, position) * 16 + position) * kDim;
          for (int i = 0; i < kDim; ++i) count += std::isnan(to_float(cache[index(at + i)]));
          return count;
        };
        EXPECT_EQ(nans(key, 4), 0) << name;
        EXPECT_EQ(nans(key, 5), kDim) << name;
        EXPECT_EQ(nans(value, 5), 0) << name;
        EXPECT_EQ(nans(value, 6), 1) << name;
      });
}

}  // namespace
}  // namespace millrace
