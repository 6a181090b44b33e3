#include "checkpoint/dummy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tensor/decode_row.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Checkpoint> make(const std::vector<DummyTensor>& tensors, std::uint64_t seed = 1,
                                 int threads = 2) {
  auto made = make_dummy_checkpoint("dummy", tensors, seed, threads);
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

std::vector<float> values_of(const Checkpoint& checkpoint, std::string_view name) {
  const TensorView* view = checkpoint.find(name);
  std::vector<float> values(static_cast<std::size_t>(view->shape.elements()));
  decode_row(view->dtype, view->data, view->shape.elements(), values.data());
  return values;
}

struct Moments {
  double mean = 0;
  double deviation = 0;
  double largest = 0;
};
Moments moments_of(const std::vector<float>& values) {
  Moments m;
  double squares = 0;
  for (const float value : values) {
    EXPECT_TRUE(std::isfinite(value));
    m.mean += value;
    squares += static_cast<double>(value) * value;
    m.largest = std::max(m.largest, std::fabs(static_cast<double>(value)));
  }
  const auto count = static_cast<double>(values.size());
  m.mean /= count;
  m.deviation = std::sqrt(squares / count - m.mean * m.mean);
  return m;
}

class DummyType : public ::testing::TestWithParam<DType> {};

TEST_P(DummyType, HasTheMomentsAskedFor) {
  for (const double deviation : {0.02, 0.3}) {
    const auto checkpoint = make({{"w", {1000, 2048}, GetParam(), 0, deviation}});
    const Moments m = moments_of(values_of(*checkpoint, "w"));
    EXPECT_NEAR(m.mean, 0, deviation * 0.01);
    EXPECT_NEAR(m.deviation, deviation, deviation * 0.02);
    EXPECT_LT(m.largest, deviation * 4);
    EXPECT_GT(m.largest, deviation * 1.5);
  }
}

TEST_P(DummyType, DependsOnSeedNameAndPlaceAlone) {
  const std::vector<DummyTensor> tensors = {{"a", {3, 256}, GetParam(), 0, 0.1},
                                            {"b", {2100, 1024}, GetParam(), 0, 0.1}};
  const auto one = make(tensors, 7, 1);
  const auto two = make({tensors[1], tensors[0]}, 7, 2);
  const auto other = make(tensors, 8, 2);
  for (const char* name : {"a", "b"}) {
    const auto size = static_cast<std::size_t>(one->find(name)->bytes());
    EXPECT_EQ(std::memcmp(one->find(name)->data, two->find(name)->data, size), 0);
    EXPECT_NE(std::memcmp(one->find(name)->data, other->find(name)->data, size), 0);
  }
  EXPECT_NE(std::memcmp(one->find("a")->data, one->find("b")->data,
                        static_cast<std::size_t>(one->find("a")->bytes())),
            0);
  // The beginning of a tensor does not depend on its length, nor a piece on those before it.
  const auto first = make({{"b", {1, 1024}, GetParam(), 0, 0.1}}, 7, 2);
  EXPECT_EQ(std::memcmp(one->find("b")->data, first->find("b")->data,
                        static_cast<std::size_t>(first->find("b")->bytes())),
            0);
  // Rows differ: no piece repeats another.
  const std::vector<float> values = values_of(*one, "b");
  for (std::size_t row = 1; row < 2100; ++row)
    ASSERT_NE(std::memcmp(values.data(), values.data() + row * 1024, 4096), 0) << row;
}

INSTANTIATE_TEST_SUITE_P(All, DummyType,
                         ::testing::Values(DType::F32, DType::F16, DType::BF16, DType::Q8_0,
                                           DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1,
                                           DType::Q4_K, DType::Q5_K, DType::Q6_K),
                         [](const auto& tested) { return std::string(to_string(tested.param)); });

TEST(Dummy, NormsLieAroundOne) {
  const auto checkpoint = make({{"norm", {4001}, DType::BF16, 1.0, 0.05}});
  const Moments m = moments_of(values_of(*checkpoint, "norm"));
  EXPECT_NEAR(m.mean, 1, 0.01);
  EXPECT_NEAR(m.deviation, 0.05, 0.005);
  EXPECT_LT(m.largest, 1.1);
}

TEST(Dummy, FloatTypesAgreeUpToRounding) {
  const auto wide = make({{"w", {77, 13}, DType::F32, 0, 1}});
  const auto narrow = make({{"w", {77, 13}, DType::BF16, 0, 1}});
  const std::vector<float> a = values_of(*wide, "w");
  const std::vector<float> b = values_of(*narrow, "w");
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], std::fabs(a[i]) / 256);
}

// Worked out apart from this code: other machines and later editions must make the same weights.
TEST(Dummy, StaysTheSame) {
  const auto checkpoint = make({{"model.embed_tokens.weight", {5}, DType::F32, 0, 1}}, 42);
  const auto* bits = checkpoint->find("model.embed_tokens.weight")->as<std::uint32_t>();
  EXPECT_THAT(std::vector<std::uint32_t>(bits, bits + 5),
              ::testing::ElementsAre(1036293752, 1064332840, 3215895200, 3215072240, 3214660760));
}

TEST(Dummy, ScalarsAndEmptyTensors) {
  const auto checkpoint =
      make({{"scalar", Shape{}, DType::F32, 0, 1}, {"none", {0, 256}, DType::Q4_K, 0, 1}});
  EXPECT_EQ(checkpoint->find("scalar")->bytes(), 4);
  EXPECT_TRUE(*checkpoint->find("none"));
  EXPECT_EQ(make({})->tensors().size(), 0u);
}

TEST(Dummy, RefusesTheImpossible) {
  const auto message = [](DummyTensor tensor) {
    const auto made = make_dummy_checkpoint("dummy", std::span(&tensor, 1), 1);
    return made ? "made" : made.error().message;
  };
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  EXPECT_EQ(message({"a", {3, 100}, DType::Q8_0, 0, 1}),
            "dummy: tensor a: found shape [3, 100] of Q8_0, expected rows of whole blocks of 32");
  EXPECT_THAT(message({"a", {kHuge, kHuge}, DType::F32, 0, 1}), HasSubstr("tensor a: found shape"));
  EXPECT_THAT(message({"a", {kHuge, 1 << 10}, DType::F32, 0, 1}),
              HasSubstr("random weights of more"));
  EXPECT_THAT(message({"a", {1}, DType::I32, 0, 1}), HasSubstr("found type I32, expected floats"));
  EXPECT_THAT(message({"a", {1}, DType::F32, NAN, 1}), HasSubstr("expected finite numbers"));
  EXPECT_THAT(message({"a", {1}, DType::F32, 0, -1}), HasSubstr("expected finite numbers"));
  EXPECT_THAT(message({"a", {32}, DType::Q8_0, 1, 1}), HasSubstr("found mean 1 for Q8_0"));
  EXPECT_THAT(message({"a", {32}, DType::Q8_0, 0, 1e-9}), HasSubstr("deviation 1e-09 for Q8_0"));
  EXPECT_THAT(message({"a", {32}, DType::Q4_1, 0, 1e6}), HasSubstr("deviation 1000000"));
  const std::vector<DummyTensor> twice(2, {"a", {1}, DType::F32, 0, 1});
  const auto made = make_dummy_checkpoint("dummy", twice, 1);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("tensor a: found twice"));
}

}  // namespace
}  // namespace millrace
