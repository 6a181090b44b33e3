#include "ops/case_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "tensor/decode_row.h"
#include "tensor/fp8.h"
#include "tensor/quant_blocks.h"

namespace millrace {
namespace {

F16 random_scale(CaseRandom& random, float largest) {
  return to_f16(random.uniform(largest / 4, largest));
}

// Every bit pattern of the quants is a valid one; only the scales must be sane.
void random_block(CaseRandom& random, DType dtype, float largest, void* block) {
  const auto bytes = static_cast<std::size_t>(layout_of(dtype).block_bytes);
  auto* raw = static_cast<unsigned char*>(block);
  for (std::size_t i = 0; i < bytes; ++i) raw[i] = static_cast<unsigned char>(random.bits() >> 32);
  const auto put = [&](std::size_t at, F16 value) { std::memcpy(raw + at, &value, sizeof(value)); };
  switch (dtype) {
    case DType::Q8_0:
      return put(0, random_scale(random, largest / 127));
    case DType::Q4_0:
      return put(0, random_scale(random, largest / 8));
    case DType::Q5_0:
      return put(0, random_scale(random, largest / 16));
    case DType::Q4_1:
    case DType::Q5_1: {
      const F16 d = random_scale(random, largest / (dtype == DType::Q4_1 ? 8 : 16));
      put(0, d);
      return put(2, to_f16(-largest * random.uniform(0.3f, 1.0f)));
    }
    case DType::Q4_K:
    case DType::Q5_K: {
      const float steps = dtype == DType::Q4_K ? 15 : 31;
      put(0, random_scale(random, 2 * largest / (63 * steps)));
      return put(2, random_scale(random, largest / 63));
    }
    case DType::Q6_K:
      return put(offsetof(BlockQ6_K, d), random_scale(random, largest / (127 * 32)));
    default:
      check(false, "not a quantised type");
  }
}

void random_row(CaseRandom& random, DType dtype, std::int64_t k, float largest, void* row) {
  const DTypeLayout& layout = layout_of(dtype);
  for (std::int64_t i = 0; i < k / layout.block_size; ++i) {
    void* at = static_cast<char*>(row) + i * layout.block_bytes;
    const float value = random.uniform(-largest, largest);
    switch (dtype) {
      case DType::F32:
        std::memcpy(at, &value, sizeof(value));
        break;
      case DType::F16: {
        const F16 half = to_f16(value);
        std::memcpy(at, &half, sizeof(half));
        break;
      }
      case DType::BF16: {
        const BF16 half = to_bf16(value);
        std::memcpy(at, &half, sizeof(half));
        break;
      }
      case DType::F8_E4M3:
        // Without -0: see device/gpu/gpu_fp8.h.
        *static_cast<F8E4M3*>(at) = {
            fp8_from_float(std::fabs(value) < 0x1p-9f ? 0.0f : value, Fp8::Ocp)};
        break;
      default:
        random_block(random, dtype, largest, at);
    }
  }
}

}  // namespace

std::uint64_t CaseRandom::bits() {
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

float CaseRandom::uniform(float low, float high) {
  return low + (high - low) * static_cast<float>(bits() >> 40) * 0x1p-24f;
}

std::vector<float> random_floats(CaseRandom& random, std::int64_t count, float largest) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = random.uniform(-largest, largest);
  return values;
}

CaseWeight::CaseWeight(CaseRandom& random, DType dtype, std::int64_t n, std::int64_t k,
                       float largest, std::int64_t copies)
    : dtype_(dtype),
      n_(n),
      k_(k),
      data_(static_cast<std::size_t>(bytes_of(dtype, n * k) * copies)) {
  // A large matrix repeats a few hundred rows: for speed alone the values do not matter.
  const std::int64_t row_bytes = bytes_of(dtype, k);
  const std::int64_t fresh = std::min(n, std::max<std::int64_t>(64, (std::int64_t{1} << 20) / k));
  for (std::int64_t i = 0; i < fresh; ++i)
    random_row(random, dtype, k, largest, data_.as<char>() + i * row_bytes);
  for (std::int64_t i = fresh; i < n * copies; ++i)
    std::memcpy(data_.as<char>() + i * row_bytes, data_.as<char>() + i % fresh * row_bytes,
                static_cast<std::size_t>(row_bytes));
}

TensorView CaseWeight::view(std::int64_t copy) const {
  return {data_.as<char>() + copy * bytes(), dtype_, {n_, k_}};
}

std::vector<float> CaseWeight::row(std::int64_t i) const {
  std::vector<float> values(static_cast<std::size_t>(k_));
  decode_row(dtype_, data_.as<char>() + i * bytes_of(dtype_, k_), k_, values.data());
  return values;
}

std::int64_t copies_beyond_cache(std::int64_t bytes) {
  return std::max<std::int64_t>(1, kBeyondCaches / bytes);
}

void poison(float* data, std::int64_t count) {
  std::fill_n(data, count, std::bit_cast<float>(kPoisonBits));
}

void poison(void* data, DType dtype, std::int64_t count) {
  if (dtype == DType::BF16)
    std::fill_n(static_cast<std::uint16_t*>(data), count, kPoisonHalf);
  else if (dtype == DType::F8_E4M3)
    std::fill_n(static_cast<std::uint8_t*>(data), count, kPoisonByte);
  else
    std::fill_n(static_cast<std::uint32_t*>(data), count, kPoisonBits);
}

CaseBatch::CaseBatch(CaseRandom& random, const std::vector<CaseSpan>& spans, int block_tokens)
    : block_tokens_(block_tokens) {
  std::int64_t used = 0;
  for (const CaseSpan& span : spans) {
    const std::int64_t blocks = (span.position + span.count + block_tokens - 1) / block_tokens;
    stride_ = std::max(stride_, blocks);
    used += blocks;
  }
  blocks_ = used + 3;
  std::vector<std::int32_t> order(static_cast<std::size_t>(blocks_));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = blocks_ - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(random.below(i + 1))]);
  tables_.assign(spans.size() * static_cast<std::size_t>(stride_), -1);
  std::size_t next = 0;
  for (std::size_t s = 0; s < spans.size(); ++s) {
    const CaseSpan& span = spans[s];
    const std::int64_t blocks = (span.position + span.count + block_tokens - 1) / block_tokens;
    // Tables and slots in another order than the spans.
    const std::size_t table = spans.size() - 1 - s;
    for (std::int64_t b = 0; b < blocks; ++b)
      tables_[table * static_cast<std::size_t>(stride_) + static_cast<std::size_t>(b)] =
          order[next++];
    spans_.push_back({static_cast<std::int32_t>(rows_), span.count, span.position,
                      static_cast<std::int32_t>(table),
                      static_cast<std::int32_t>((s + 1) % (spans.size() + 1)), span.conv_from,
                      span.writes_kv});
    rows_ += span.count;
    row_spans_.resize(static_cast<std::size_t>(rows_), static_cast<std::int32_t>(s));
  }
}

BatchView CaseBatch::view() const {
  BatchView view;
  view.rows = rows_;
  view.spans = spans_.data();
  view.span_count = static_cast<std::int64_t>(spans_.size());
  view.row_spans = row_spans_.data();
  for (const SpanView& span : spans_)
    view.max_count = std::max<std::int64_t>(view.max_count, span.count);
  view.block_tables = tables_.data();
  view.table_stride = stride_;
  return view;
}

std::int32_t CaseBatch::block_of(std::size_t s, std::int64_t position) const {
  return tables_[static_cast<std::size_t>(spans_[s].table * stride_ + position / block_tokens_)];
}

void CaseBatch::add_memory(std::vector<CaseMemory>& memory) const {
  memory.push_back(read_memory(spans_));
  memory.push_back(read_memory(row_spans_));
  memory.push_back(read_memory(tables_));
}

void CaseNormScratch::begin(const float* in, std::int64_t stride, const float* norm_weight) {
  for (std::int64_t t = 0; t < count_; ++t)
    for (std::int64_t i = 0; i < k_; ++i) {
      const float x = in[t * stride + i];
      rows[static_cast<std::size_t>(t * k_ + i)] = to_bf16(x * norm_weight[i]);
      squares[static_cast<std::size_t>(t * norm_squares(k_) + i / kSquaresColumns)] += x * x;
    }
}

}  // namespace millrace
