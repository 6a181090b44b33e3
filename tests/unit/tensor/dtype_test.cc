#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include "tensor/buffer.h"
#include "tensor/tensor_view.h"

namespace millrace {
namespace {

TEST(DType, BytesAreWholeBlocks) {
  EXPECT_EQ(bytes_of(DType::BF16, 3), 6);
  EXPECT_EQ(bytes_of(DType::Q8_0, 64), 68);
  EXPECT_EQ(bytes_of(DType::Q6_K, 512), 420);
  EXPECT_DEATH(bytes_of(DType::Q4_0, 33), "whole blocks");
}

TEST(DType, ParsesWhatFilesAndPeopleWrite) {
  EXPECT_EQ(parse_dtype("bfloat16"), DType::BF16);
  EXPECT_EQ(parse_dtype("q4_k"), DType::Q4_K);
  EXPECT_EQ(parse_dtype("F64"), std::nullopt);
}

TEST(TensorView, SlicesAStack) {
  Buffer buffer(2 * 3 * 64 * 2);
  const TensorView stack = {buffer.as<void>(), DType::BF16, {2, 3, 64}};
  const TensorView second = stack.slice(1);
  EXPECT_EQ(second.shape, (Shape{3, 64}));
  EXPECT_EQ(second.as<std::byte>() - stack.as<std::byte>(), 3 * 64 * 2);
  EXPECT_EQ(to_string(stack.shape), "[2, 3, 64]");
}

}  // namespace
}  // namespace millrace
