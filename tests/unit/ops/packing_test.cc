// Panels hold what was stored, and every instruction set reads them alike.
#include "ops/packed_linear/packing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "device/cpu/cpu_device.h"
#include "ops/case_data.h"
#include "ops/packed_linear/packed_linear.h"
#include "tensor/decode_row.h"

namespace millrace {
namespace {

constexpr DType kPacked[] = {DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
                             DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K};

struct Packed {
  Packed(DType dtype, std::int64_t n, std::int64_t k)
      : stored(random, dtype, n, k, 0.5f),
        panels(static_cast<std::size_t>(packed_bytes(dtype, n, k))),
        view(pack_matrix(stored.view(), panels.as<void>(), pool)) {}

  CaseRandom random{3};
  ThreadPool pool{2};
  CaseWeight stored;
  Buffer panels;
  PackedView view;
};

TEST(Packing, RowsComeBackBitForBit) {
  for (const DType dtype : kPacked) {
    const std::int64_t k = dtype == DType::BF16 ? 133 : layout_of(dtype).block_size * 5;
    for (const std::int64_t n : {1, 16, 37}) {
      Packed packed(dtype, n, k);
      for (std::int64_t row = 0; row < n; ++row) {
        const std::vector<float> want = packed.stored.row(row);
        std::vector<float> got(want.size());
        decode_packed_row(packed.view, row, got.data());
        ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0)
            << to_string(dtype) << ", row " << row << " of " << n;
      }
    }
  }
}

// Every product by one kernel, in the same memory for all of them.
std::vector<float> product(const KernelSpec<PackedLinear>& kernel, const Packed& packed,
                           std::vector<float>& in, std::int64_t first, std::int64_t rows,
                           Stream& stream) {
  const PackedView& weight = packed.view;
  std::vector<float> out(static_cast<std::size_t>(rows * weight.n));
  kernel.launch({.in = {in.data() + first * weight.k, weight.k, weight.k, DType::F32},
                 .weight = weight,
                 .bias = nullptr,
                 .residual = {},
                 .out = {out.data(), weight.n, weight.n, DType::F32},
                 .rows = rows},
                stream);
  return out;
}

template <typename Body>
void with_kernels(DType dtype, const Body& body) {
  const std::unique_ptr<Device> device = make_cpu_device(2);
  const std::unique_ptr<Stream> stream = device->make_stream();
  for (const KernelSpec<PackedLinear>& kernel : kernels_of(PackedLinear{}))
    if (kernel.priority != Priority::Reference &&
        kernel.rejects({dtype, DType::F32, 75, 256}, device->traits()).empty())
      body(kernel, *stream);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(PackedLinear, RowsAloneAndTogetherOnEveryInstructionSet) {
  constexpr std::int64_t kRows = 27;
  for (const DType dtype : kPacked) {
    Packed packed(dtype, 75, 1280);
    std::vector<float> in = random_floats(packed.random, kRows * 1280, 1);
    std::vector<float> first;  // kernel's
    with_kernels(dtype, [&](const KernelSpec<PackedLinear>& kernel, Stream& stream) {
      std::vector<float> alone;
      for (std::int64_t t = 0; t < kRows; ++t) {
        const std::vector<float> row = product(kernel, packed, in, t, 1, stream);
        alone.insert(alone.end(), row.begin(), row.end());
      }
      for (std::int64_t rows = 1; rows <= kRows; ++rows) {
        const std::vector<float> together = product(kernel, packed, in, 0, rows, stream);
        ASSERT_TRUE(same_bits(together, {alone.begin(), alone.begin() + rows * 75}))
            << to_string(dtype) << " " << kernel.name << ", " << rows << " rows";
      }
      if (first.empty()) first = alone;
      EXPECT_TRUE(same_bits(alone, first)) << to_string(dtype) << " " << kernel.name;
    });
  }
}

TEST(PackedLinear, NotANumberShowsInItsRowAlone) {
  for (const DType dtype : kPacked) {
    Packed packed(dtype, 75, 512);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> in = random_floats(packed.random, 3 * 512, 1);
      in[512 + 77] = bad;
      with_kernels(dtype, [&](const KernelSpec<PackedLinear>& kernel, Stream& stream) {
        const std::vector<float> out = product(kernel, packed, in, 0, 3, stream);
        for (std::size_t i = 0; i < out.size(); ++i)
          ASSERT_EQ(std::isfinite(out[i]), i < 75 || i >= 150)
              << to_string(dtype) << " " << kernel.name << " " << i;
      });
    }
  }
}

TEST(PackedLinear, ZerosAndTheSmallestNumbersGiveNumbers) {
  for (const DType dtype : kPacked) {
    Packed packed(dtype, 16, 256);
    for (const float size : {0.0f, 1e-45f, 1e-38f, 1e-30f}) {
      std::vector<float> in(256, size);
      with_kernels(dtype, [&](const KernelSpec<PackedLinear>& kernel, Stream& stream) {
        for (const float value : product(kernel, packed, in, 0, 1, stream))
          ASSERT_LE(std::abs(value), 256 * 1e-29f) << to_string(dtype) << " " << kernel.name;
      });
    }
  }
}

}  // namespace
}  // namespace millrace
