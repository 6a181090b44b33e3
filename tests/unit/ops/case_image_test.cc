#include "ops/case_image.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <numeric>

#include "device/emulated/emulated_device.h"
#include "ops/case_data.h"
#include "tensor/half.h"

namespace millrace {
namespace {

// Two buffers, one of activations, on a device where they are stored in BF16.
class NarrowImage : public ::testing::Test {
 protected:
  NarrowImage() {
    std::iota(activations_.begin(), activations_.end(), 1.0f);
    poison(activations_.data(), 1);
    std::iota(numbers_.begin(), numbers_.end(), 7);
    image_.upload(*stream_);
  }

  std::unique_ptr<Device> device_ = make_emulated_device();
  std::unique_ptr<Stream> stream_ = device_->make_stream();
  std::vector<float> activations_ = std::vector<float>(6);
  std::vector<std::int32_t> numbers_ = std::vector<std::int32_t>(5);
  CaseImage image_{*device_,
                   DType::BF16,
                   {as_activation(written_memory(activations_)), read_memory(numbers_)},
                   2};
};

TEST_F(NarrowImage, PointersAreMovedAndTypesFollow) {
  MatrixView view = {activations_.data() + 2, 2, 2, DType::F32};
  const std::int32_t* number = &numbers_[3];
  const float* nothing = nullptr;
  for (const std::int64_t copy : {0, 1}) {
    MatrixView moved = view;
    const std::int32_t* moved_number = number;
    CaseImageCopy(image_, copy).move(moved, moved_number, nothing);
    EXPECT_EQ(moved.dtype, DType::BF16);
    EXPECT_EQ(to_float(moved.row<BF16>(1)[1]), 6.0f);
    EXPECT_NE(moved_number, number);
    EXPECT_EQ(*moved_number, 10);
    EXPECT_EQ(nothing, nullptr);
  }
  EXPECT_TRUE(image_.is_narrow(&activations_[5]));
  EXPECT_FALSE(image_.is_narrow(&numbers_[0]));
}

TEST_F(NarrowImage, PoisonStaysPoison) {
  MatrixView view = {activations_.data(), 6, 6, DType::F32};
  image_.move(view, 0);
  EXPECT_EQ(view.row<BF16>(0)[0].bits, kPoisonHalf);
  view.row<BF16>(0)[3] = {kPoisonHalf};
  view.row<BF16>(0)[4] = to_bf16(-2.0f);
  ASSERT_TRUE(image_.download(*stream_));
  EXPECT_EQ(std::bit_cast<std::uint32_t>(activations_[0]), kPoisonBits);
  EXPECT_EQ(activations_[2], 3.0f);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(activations_[3]), kPoisonBits);
  EXPECT_EQ(activations_[4], -2.0f);
}

TEST_F(NarrowImage, AChangedInputIsNoticed) {
  EXPECT_TRUE(image_.download(*stream_));
  const std::int32_t* number = &numbers_[4];
  image_.move(number, 0);
  *const_cast<std::int32_t*>(number) += 1;
  EXPECT_FALSE(image_.download(*stream_));
  EXPECT_EQ(numbers_[4], 11) << "an input is not copied back";
}

TEST_F(NarrowImage, MemoryOfSomebodyElseAborts) {
  float other = 0;
  float* p = &other;
  EXPECT_DEATH(image_.move(p, 0), "does not name");
}

}  // namespace
}  // namespace millrace
