// The kernels for AMX with plain loops in place of its instructions (amx_tiles.h): they need a
// processor with AVX-512, as every one with AMX is, and compare nothing on others.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "device/cpu/cpu_features.h"
#include "ops/case_data.h"
#include "ops/packed_linear/packed_block.h"
#include "ops/packed_linear/packed_error.h"
#include "ops/packed_linear/packing.h"
#include "ops/packed_linear/panel_formats.h"
#include "ops/packed_linear/row_encoding.h"

namespace millrace {

namespace amx_emulated {
void packed_ints(const PackedBlock& block);
void packed_halves(const PackedBlock& block);
}  // namespace amx_emulated

namespace {

constexpr DType kInts[] = {DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
                           DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K};
constexpr std::int64_t kN = 75;  // four panels and some
constexpr std::int64_t kMost = 150;

// A product with bias and residual, of rows that lie in order or anywhere.
struct Product {
  Product(DType dtype, std::int64_t k, std::int64_t row_bytes, EncodeRowFn encode)
      : stored(random, dtype, kN, k, 0.5f),
        panels(static_cast<std::size_t>(packed_bytes(dtype, kN, k))),
        encoded(static_cast<std::size_t>(kMost * row_bytes)),
        in(random_floats(random, kMost * k, 1)),
        bias(random_floats(random, kN, 1)),
        residual(random_floats(random, kMost * kN, 1)),
        places(static_cast<std::size_t>(kMost)) {
    ThreadPool pool(1);
    block.weight = pack_matrix(stored.view(), panels.as<void>(), pool);
    block.panel_bytes = packed_bytes(dtype, kPanelRows, k);
    block.last = (kN + kPanelRows - 1) / kPanelRows;
    for (std::int64_t t = 0; t < kMost; ++t)
      encode(in.data() + t * k, k, encoded.as<std::byte>() + t * row_bytes);
    block.rows = encoded.as<std::byte>();
    block.row_bytes = row_bytes;
    block.bias = bias.data();
    block.residual = residual.data();
    block.residual_stride = kN;
    block.out_stride = kN;
    for (std::int64_t t = 0; t < kMost; ++t)
      places[static_cast<std::size_t>(t)] = static_cast<std::int32_t>((t * 37 + 11) % kMost);
  }

  std::vector<float> run(PackedBlockFn kernel, std::int64_t first, std::int64_t rows,
                         bool anywhere) {
    PackedBlock b = block;
    b.count = rows;
    if (anywhere)
      b.in_rows = places.data() + first;
    else
      b.rows += first * b.row_bytes;
    b.residual += first * kN;
    std::vector<float> out(static_cast<std::size_t>(rows * kN + 1),
                           std::numeric_limits<float>::infinity());
    b.out = out.data();
    kernel(b);
    return out;
  }

  CaseRandom random{9};
  CaseWeight stored;
  Buffer panels, encoded;
  std::vector<float> in, bias, residual;
  std::vector<std::int32_t> places;
  PackedBlock block = {};
};

// As a processor with AVX-512 BF16 does it.
void encode_halves(const float* in, std::int64_t k, void* to) {
  auto* halves = static_cast<BF16*>(to);
  for (std::int64_t i = 0; i < encoded_blocks(k) * kEncodedLength; ++i)
    halves[i] = to_bf16(i < k ? in[i] : 0.0f);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(Amx, IntegersHaveTheBitsOfVnni) {
  if (!detect_cpu_features().avx512_vnni) return;
  for (const DType dtype : kInts) {
    const std::int64_t k = layout_of(dtype).block_size == 256 ? 1280 : 1056;
    Product product(dtype, k, encoded_bytes<EncodedInts>(k), avx512_vnni::encode_ints);
    for (const std::int64_t rows : {1, 15, 16, 17, 48, 127, 128, 145, 150})
      for (const bool anywhere : {false, true})
        EXPECT_TRUE(same_bits(product.run(amx_emulated::packed_ints, 0, rows, anywhere),
                              product.run(avx512_vnni::packed_ints, 0, rows, anywhere)))
            << to_string(dtype) << ", " << rows << " rows" << (anywhere ? " anywhere" : "");
  }
}

TEST(Amx, HalvesAreNearTheReferenceAndTheSameInCompany) {
  if (!detect_cpu_features().avx512) return;
  constexpr std::int64_t kK = 1133;
  Product product(DType::BF16, kK, encoded_bytes<EncodedHalves>(kK), encode_halves);
  std::vector<float> alone;
  for (std::int64_t t = 0; t < kMost; ++t) {
    const std::vector<float> row = product.run(amx_emulated::packed_halves, t, 1, false);
    alone.insert(alone.end(), row.begin(), row.end() - 1);
  }
  for (std::int64_t j = 0; j < kN; ++j) {
    const std::vector<float> weights = product.stored.row(j);
    for (std::int64_t t = 0; t < kMost; ++t) {
      const float* in = product.in.data() + t * kK;
      const auto at = static_cast<std::size_t>(t * kN + j);
      const double added = double{product.bias[static_cast<std::size_t>(j)]} + product.residual[at];
      double want = added;
      for (std::size_t i = 0; i < weights.size(); ++i) want += double{weights[i]} * in[i];
      const double allowed = packed_product_error(
          DType::BF16, kK, std::abs(added),
          [&](std::int64_t i) { return weights[static_cast<std::size_t>(i)]; },
          [&](std::int64_t i) { return in[i]; });
      ASSERT_LE(std::abs(alone[at] - want), allowed) << "row " << t << ", column " << j;
    }
  }
  for (const std::int64_t rows : {2, 15, 16, 17, 31, 32, 33, 64, 75, 150}) {
    std::vector<float> together = product.run(amx_emulated::packed_halves, 0, rows, false);
    EXPECT_EQ(together.back(), std::numeric_limits<float>::infinity());
    together.pop_back();
    EXPECT_TRUE(same_bits(together, {alone.begin(), alone.begin() + rows * kN})) << rows << " rows";
  }
}

TEST(Amx, HalvesOfRowsAnywhere) {
  if (!detect_cpu_features().avx512) return;
  constexpr std::int64_t kK = 200;
  Product product(DType::BF16, kK, encoded_bytes<EncodedHalves>(kK), encode_halves);
  product.block.residual = nullptr;
  product.block.residual_stride = 0;
  for (const std::int64_t rows : {1, 16, 33, 150}) {
    PackedBlock b = product.block;
    const auto run = [&](PackedBlock block) {
      std::vector<float> out(static_cast<std::size_t>(rows * kN));
      block.out = out.data();
      block.count = rows;
      amx_emulated::packed_halves(block);
      return out;
    };
    b.in_rows = product.places.data();
    const std::vector<float> anywhere = run(b);
    Buffer ordered(static_cast<std::size_t>(rows * b.row_bytes));
    for (std::int64_t t = 0; t < rows; ++t)
      std::memcpy(ordered.as<std::byte>() + t * b.row_bytes,
                  b.rows + product.places[static_cast<std::size_t>(t)] * b.row_bytes,
                  static_cast<std::size_t>(b.row_bytes));
    b.in_rows = nullptr;
    b.rows = ordered.as<std::byte>();
    EXPECT_TRUE(same_bits(anywhere, run(b))) << rows << " rows";
  }
}

}  // namespace
}  // namespace millrace
