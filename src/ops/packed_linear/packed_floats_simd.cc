// Products of BF16 weights with rows of floats as they are: for processors that multiply floats
// faster than pairs of BF16.
#include "ops/packed_linear/packed_tiles.h"
#include "ops/packed_linear/row_encoding.h"

namespace millrace::MILLRACE_ISA {
namespace {

struct FloatTile {
  static constexpr int kVectors = 2, kRows = 12;
  static constexpr int kWide = 4, kFewRows = 4;

  template <int kWidth, int kHeight>
  MILLRACE_INLINE void run(const PackedBlock& b, std::int64_t vector, std::int64_t t) {
    const TileColumns<kWidth> columns = columns_at<kWidth>(b, vector);
    const EncodedFloats* in[kHeight];
    for (int r = 0; r < kHeight; ++r)
      in[r] = reinterpret_cast<const EncodedFloats*>(encoded_row(b, t + r));
    Floats total[kHeight][kWidth] = {};
    const LinesAhead<kWidth, PanelBF16, 4096> ahead(b, columns, vector);
    const bool from_memory = t == 0 && b.count <= kRows;
    const std::int64_t blocks = (b.weight.k + kEncodedLength - 1) / kEncodedLength;
    for (std::int64_t i = 0; i < blocks; ++i) {
      const PanelBF16* panel[kWidth];
      for (int v = 0; v < kWidth; ++v)
        panel[v] = reinterpret_cast<const PanelBF16*>(columns.panel[v]) + i;
#pragma GCC unroll 2
      for (int pair = 0; pair < 32; ++pair) {
        Floats even[kWidth], odd[kWidth];
        for (int v = 0; v < kWidth; ++v) {
          const Words both = load_as<Words>(panel[v]->w[pair] + columns.lane[v]);
          // Line by line, so that products go on meanwhile.
          if (from_memory && v % kVectorsPerPanel == 0)
            __builtin_prefetch(ahead.at(i, v) + pair * static_cast<int>(sizeof(panel[v]->w[pair])));
          even[v] = as_floats(both << 16);
          odd[v] = as_floats(both & 0xffff0000u);
        }
        for (int r = 0; r < kHeight; ++r) {
          const float* x = in[r][i].x + 2 * pair;
          for (int v = 0; v < kWidth; ++v) {
            total[r][v] = fma(even[v], splat(x[0]), total[r][v]);
            total[r][v] = fma(odd[v], splat(x[1]), total[r][v]);
          }
        }
      }
    }
    for (int r = 0; r < kHeight; ++r)
      for (int v = 0; v < kWidth; ++v) finish(b, t + r, (vector + v) * kLanes, total[r][v]);
  }
};

}  // namespace

void encode_floats(const float* in, std::int64_t k, void* to) {
  auto* x = static_cast<EncodedFloats*>(to)->x;
  const std::int64_t end = encoded_blocks(k) * kEncodedLength;
  for (std::int64_t i = 0; i < k; ++i) x[i] = in[i];
  for (std::int64_t i = k; i < end; ++i) x[i] = 0;
}

void packed_floats(const PackedBlock& b) {
  walk<FloatTile>(b);
}

}  // namespace millrace::MILLRACE_ISA
