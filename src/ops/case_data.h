// What the ops' case tables are filled with.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/batch_view.h"
#include "ops/case_image.h"
#include "ops/norm_scratch.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace millrace {

// The same numbers on every machine (SplitMix64).
class CaseRandom {
 public:
  explicit CaseRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits();
  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(limit));
  }
  float uniform(float low, float high);

 private:
  std::uint64_t state_;
};

std::vector<float> random_floats(CaseRandom& random, std::int64_t count, float largest);

// A matrix of stored weights of about [-largest, largest], and `copies` of it one after another
// for full-size cases.
class CaseWeight {
 public:
  CaseWeight(CaseRandom& random, DType dtype, std::int64_t n, std::int64_t k, float largest,
             std::int64_t copies = 1);
  TensorView view(std::int64_t copy = 0) const;
  std::int64_t bytes() const { return bytes_of(dtype_, n_ * k_); }
  std::vector<float> row(std::int64_t i) const;  // widened
  CaseMemory memory() const {
    return {const_cast<char*>(data_.as<char>()), static_cast<std::int64_t>(data_.size()),
            CaseMemory::Use::Read};
  }

 private:
  DType dtype_;
  std::int64_t n_, k_;
  Buffer data_;
};

// How far rows of so many columns are apart in a case: never touching, and at distances that allow
// 16-byte accesses if their length does, so that kernels are tested with both.
constexpr std::int64_t case_stride(std::int64_t columns) {
  return columns % 8 == 0 ? columns + 8 : columns + 3;
}

// What a kernel may norm its rows into.
struct CaseNormScratch {
  std::vector<BF16> rows;
  std::vector<float> squares;

  CaseNormScratch(std::int64_t count, std::int64_t k)
      : rows(static_cast<std::size_t>(count * k)),
        squares(static_cast<std::size_t>(count * norm_squares(k))),
        count_(count),
        k_(k) {}
  NormScratch view() { return {rows.data(), squares.data()}; }
  // As linear_norm would: rows of `in`, so far apart, times the norm's weights.
  void begin(const float* in, std::int64_t stride, const float* norm_weight);

 private:
  std::int64_t count_, k_;
};

// Far more than any cache holds: a GPU's second level has 50 to 126 MB, a server's CPUs have more.
constexpr std::int64_t kBeyondCaches = std::int64_t{400} << 20;

// Copies of `bytes` that together are that large.
std::int64_t copies_beyond_cache(std::int64_t bytes);

// What an element holds before anybody writes it: a NaN of an unusual pattern.
constexpr std::uint32_t kPoisonBits = 0x7fc0dead;
constexpr std::uint16_t kPoisonHalf = 0x7fdd;  // of a BF16
constexpr std::uint8_t kPoisonByte = 0x7f;     // of an FP8
void poison(float* data, std::int64_t count);
void poison(void* data, DType dtype, std::int64_t count);  // or I32

// A step of some sequences, their blocks scattered over a pool.
struct CaseSpan {
  std::int32_t count;
  std::int32_t position;
  std::int32_t conv_from = 0;
  std::int32_t writes_kv = 1;
};
class CaseBatch {
 public:
  CaseBatch(CaseRandom& random, const std::vector<CaseSpan>& spans, int block_tokens = 16);
  BatchView view() const;
  std::int64_t rows() const { return rows_; }
  std::int64_t blocks() const { return blocks_; }  // in the pool: some belong to nobody
  std::int64_t slots() const { return static_cast<std::int64_t>(spans_.size()) + 1; }
  const std::vector<SpanView>& spans() const { return spans_; }
  // Block of a position of spans()[s].
  std::int32_t block_of(std::size_t s, std::int64_t position) const;
  // Appends the memory that view() points into.
  void add_memory(std::vector<CaseMemory>& memory) const;

 private:
  std::vector<SpanView> spans_;
  std::vector<std::int32_t> row_spans_;
  std::vector<std::int32_t> tables_;
  std::int64_t stride_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t blocks_ = 0;
  int block_tokens_;
};

}  // namespace millrace
