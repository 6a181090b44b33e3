#include "ops/packed_linear/packing.h"

#include <cstring>

#include "base/check.h"
#include "ops/packed_linear/panel_formats.h"
#include "tensor/quant_blocks.h"

namespace millrace {
namespace {

// The unsigned integers of 32 elements of one row.
struct SubBlock {
  std::uint8_t u[kSubBlock];
};

void low_and_high(const std::uint8_t* q, SubBlock& out) {
  for (int i = 0; i < 16; ++i) {
    out.u[i] = q[i] & 15;
    out.u[i + 16] = q[i] >> 4;
  }
}
void add_fifth_bits(const std::uint8_t* high, SubBlock& out) {
  std::uint32_t bits;
  std::memcpy(&bits, high, sizeof(bits));
  for (int i = 0; i < kSubBlock; ++i)
    out.u[i] = static_cast<std::uint8_t>(out.u[i] | ((bits >> i) & 1u) << 4);
}

// Elements 32 s to 32 s + 31 of a stored block.
SubBlock values(const BlockQ8_0& b, int) {
  SubBlock out;
  for (int i = 0; i < kSubBlock; ++i) out.u[i] = static_cast<std::uint8_t>(b.q[i] + 128);
  return out;
}
SubBlock values(const BlockQ4_0& b, int) {
  SubBlock out;
  low_and_high(b.q, out);
  return out;
}
SubBlock values(const BlockQ4_1& b, int) {
  SubBlock out;
  low_and_high(b.q, out);
  return out;
}
SubBlock values(const BlockQ5_0& b, int) {
  SubBlock out;
  low_and_high(b.q, out);
  add_fifth_bits(b.high, out);
  return out;
}
SubBlock values(const BlockQ5_1& b, int) {
  SubBlock out;
  low_and_high(b.q, out);
  add_fifth_bits(b.high, out);
  return out;
}
SubBlock values(const BlockQ4_K& b, int s) {
  SubBlock out;
  for (int i = 0; i < kSubBlock; ++i) {
    const std::uint8_t byte = b.q[s / 2 * 32 + i];
    out.u[i] = s % 2 == 0 ? byte & 15 : byte >> 4;
  }
  return out;
}
SubBlock values(const BlockQ5_K& b, int s) {
  SubBlock out;
  for (int i = 0; i < kSubBlock; ++i) {
    const std::uint8_t byte = b.q[s / 2 * 32 + i];
    const int fifth = b.high[i] >> s & 1;
    out.u[i] = static_cast<std::uint8_t>((s % 2 == 0 ? byte & 15 : byte >> 4) | fifth << 4);
  }
  return out;
}
SubBlock values(const BlockQ6_K& b, int s) {
  SubBlock out;
  for (int i = 0; i < kSubBlock; ++i) {
    const std::uint8_t byte = b.low[s / 4 * 64 + s % 2 * 32 + i];
    const int high = b.high[s / 4 * 32 + i] >> (s % 4 * 2) & 3;
    out.u[i] = static_cast<std::uint8_t>((s % 4 >= 2 ? byte >> 4 : byte & 15) | high << 4);
  }
  return out;
}

// Where element e of row c of a sub-block lies: group e / 4, byte 4c + e % 4.
void put_low(const SubBlock& from, std::uint8_t (&q)[8][64], int c) {
  for (int g = 0; g < 8; ++g) std::memcpy(&q[g][4 * c], &from.u[4 * g], 4);
}
void put_low(const SubBlock& from, std::uint8_t (&q)[4][64], int c) {
  for (int g = 0; g < 4; ++g)
    for (int i = 0; i < 4; ++i)
      q[g][4 * c + i] =
          static_cast<std::uint8_t>((from.u[4 * g + i] & 15) | (from.u[4 * (g + 4) + i] & 15) << 4);
}
void put_high(const SubBlock& from, std::uint8_t (&high)[64], int c) {
  for (int i = 0; i < 4; ++i) {
    int bits = 0;
    for (int g = 0; g < 8; ++g) bits |= (from.u[4 * g + i] >> 4) << g;
    high[4 * c + i] = static_cast<std::uint8_t>(bits);
  }
}
void put_high(const SubBlock& from, std::uint8_t (&high)[2][64], int c) {
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 4; ++i) {
      int bits = 0;
      for (int g = 0; g < 4; ++g) bits |= (from.u[4 * (4 * half + g) + i] >> 4) << (2 * g);
      high[half][4 * c + i] = static_cast<std::uint8_t>(bits);
    }
}

int get_low(const std::uint8_t (&q)[8][64], int c, int e) {
  return q[e / 4][4 * c + e % 4];
}
int get_low(const std::uint8_t (&q)[4][64], int c, int e) {
  const std::uint8_t byte = q[e / 4 % 4][4 * c + e % 4];
  return e < 16 ? byte & 15 : byte >> 4;
}
int get_high(const std::uint8_t (&high)[64], int c, int e) {
  return (high[4 * c + e % 4] >> (e / 4) & 1) << 4;
}
int get_high(const std::uint8_t (&high)[2][64], int c, int e) {
  return (high[e / 16][4 * c + e % 4] >> (2 * (e / 4 % 4)) & 3) << 4;
}

// What scales row c of the sub-blocks that a stored block fills, from s on.
template <typename Stored, typename Panel>
void put_factors(const Stored& from, Panel& to, int s, int c) {
  if constexpr (requires { from.dmin; }) {  // Q4_K, Q5_K
    to.d[c] = from.d;
    to.dmin[c] = from.dmin;
    for (int g = 0; g < 8; ++g) {
      const KScaleMin factors = k_scale_min(from.scales, g);
      to.scale[g][c] = factors.scale;
      to.min[g][c] = factors.min;
    }
  } else if constexpr (requires { from.scales; }) {  // Q6_K
    to.d[c] = from.d;
    for (int g = 0; g < 16; ++g) to.scale[g / 2][g % 2][c] = from.scales[g];
  } else {
    to.d[s][c] = from.d;
    if constexpr (requires { from.m; }) to.m[s][c] = from.m;
  }
}

template <typename Stored, typename Panel>
void put(const Stored& from, Panel& to, int first, int c) {
  constexpr int kSubBlocks = requires {
    from.scales;
  }
  ? 8 : 1;
  put_factors(from, to, first, c);
  for (int s = 0; s < kSubBlocks; ++s) {
    const SubBlock all = values(from, s);
    put_low(all, to.q[first + s], c);
    if constexpr (requires { to.high; }) put_high(all, to.high[first + s], c);
  }
}

// Element e of row c of sub-block s.
template <DType kType, typename Panel>
float value(const Panel& from, int s, int c, int e) {
  int u = get_low(from.q[s], c, e);
  if constexpr (requires { from.high; }) u |= get_high(from.high[s], c, e);
  const auto q = static_cast<float>(u - PanelOf<kType>::kOffset);
  if constexpr (requires { from.dmin; }) {
    const float scale = to_float(from.d[c]) * static_cast<float>(from.scale[s][c]);
    return q * scale - to_float(from.dmin[c]) * static_cast<float>(from.min[s][c]);
  } else if constexpr (requires { from.scale; }) {
    const int half = e / 16;
    return q * (to_float(from.d[c]) * static_cast<float>(from.scale[s][half][c]));
  } else if constexpr (requires { from.m; }) {
    return q * to_float(from.d[s][c]) + to_float(from.m[s][c]);
  } else {
    return q * to_float(from.d[s][c]);
  }
}

template <DType kType>
constexpr std::int64_t blocks_of(std::int64_t k) {
  return (k + PanelOf<kType>::kLength - 1) / PanelOf<kType>::kLength;
}

template <DType kType>
void pack_panel(const TensorView& matrix, std::int64_t panel, std::byte* to) {
  using Block = typename PanelOf<kType>::Type;
  using Stored = typename PanelOf<kType>::Stored;
  const std::int64_t n = matrix.shape[0];
  const std::int64_t k = matrix.shape[1];
  const std::int64_t stored_length = layout_of(kType).block_size;
  const std::int64_t per_block = PanelOf<kType>::kLength / stored_length;
  auto* blocks = reinterpret_cast<Block*>(to);
  std::memset(to, 0, static_cast<std::size_t>(blocks_of<kType>(k)) * sizeof(Block));
  for (int c = 0; c < kPanelRows && panel * kPanelRows + c < n; ++c) {
    const auto* row = matrix.as<Stored>() + (panel * kPanelRows + c) * (k / stored_length);
    for (std::int64_t b = 0; b < k / stored_length; ++b)
      put(row[b], blocks[b / per_block], static_cast<int>(b % per_block), c);
  }
}

template <>
void pack_panel<DType::BF16>(const TensorView& matrix, std::int64_t panel, std::byte* to) {
  const std::int64_t n = matrix.shape[0];
  const std::int64_t k = matrix.shape[1];
  auto* blocks = reinterpret_cast<PanelBF16*>(to);
  std::memset(to, 0, static_cast<std::size_t>(blocks_of<DType::BF16>(k)) * sizeof(PanelBF16));
  for (int c = 0; c < kPanelRows && panel * kPanelRows + c < n; ++c) {
    const BF16* row = matrix.as<BF16>() + (panel * kPanelRows + c) * k;
    for (std::int64_t i = 0; i + 2 <= k; i += 2)
      std::memcpy(blocks[i / 64].w[i % 64 / 2][c], row + i, 2 * sizeof(BF16));
    if (k % 2 == 1) blocks[k / 64].w[k % 64 / 2][c][0] = row[k - 1];
  }
}

template <DType kType>
void decode(const PackedView& packed, std::int64_t row, float* out) {
  using Block = typename PanelOf<kType>::Type;
  constexpr int kLength = PanelOf<kType>::kLength;
  const auto* blocks =
      static_cast<const Block*>(packed.panels) + row / kPanelRows * blocks_of<kType>(packed.k);
  const int c = static_cast<int>(row % kPanelRows);
  for (std::int64_t i = 0; i < packed.k; ++i) {
    const Block& block = blocks[i / kLength];
    const int e = static_cast<int>(i % kLength);
    if constexpr (kType == DType::BF16)
      out[i] = to_float(block.w[e / 2][c][e % 2]);
    else
      out[i] = value<kType>(block, e / kSubBlock, c, e % kSubBlock);
  }
}

// Calls body<kType>() for a type that has panels.
template <typename Body>
auto with_type(DType dtype, const Body& body) {
  check(can_pack(dtype), "there are no panels for this type");
  if (dtype == DType::BF16) return body.template operator()<DType::BF16>();
  return with_quantised(dtype, body);
}

}  // namespace

bool can_pack(DType dtype) {
  return dtype == DType::BF16 || is_quantised(dtype);
}

std::int64_t packed_bytes(DType dtype, std::int64_t n, std::int64_t k) {
  return with_type(dtype, [&]<DType kType>() {
    return (n + kPanelRows - 1) / kPanelRows * blocks_of<kType>(k) *
           static_cast<std::int64_t>(sizeof(typename PanelOf<kType>::Type));
  });
}

PackedView pack_matrix(const TensorView& matrix, void* to, ThreadPool& pool) {
  const std::int64_t n = matrix.shape[0];
  const std::int64_t panels = (n + kPanelRows - 1) / kPanelRows;
  const std::int64_t panel_bytes = packed_bytes(matrix.dtype, kPanelRows, matrix.shape[1]);
  with_type(matrix.dtype, [&]<DType kType>() {
    pool.run(panels, [&](std::int64_t panel) {
      pack_panel<kType>(matrix, panel, static_cast<std::byte*>(to) + panel * panel_bytes);
    });
  });
  return {to, matrix.dtype, n, matrix.shape[1]};
}

void decode_packed_row(const PackedView& packed, std::int64_t row, float* out) {
  with_type(packed.dtype, [&]<DType kType>() { decode<kType>(packed, row, out); });
}

}  // namespace millrace
