// How packed weights lie in memory: in the order in which a core reads them.
//
// Rows of the matrix are taken 16 at a time, a panel; the last panel is filled up with zeros. A
// panel is one stream of blocks, each some elements of k of all 16 rows (k is filled up with zeros
// too). Within a block k runs in sub-blocks of 32, a sub-block in groups of four: byte 4c + i of a
// group is element 4g + i of row c. One register thus holds four neighbouring k of 16 rows, which
// is what dot-product instructions of every kind read (VNNI, AMX, NEON), and a row of the result
// is a lane, so that nothing is added up across lanes. Everything is a multiple of 64 bytes.
//
//   four-bit parts   byte j of q[s][g] holds group g in its low half, group g + 4 in its high half
//   fifth bits       bit g of high[s][j] belongs to group g
//   sixth bits       bits 2(g % 4), +1 of high[s][g / 4][j] belong to group g
//
// Values are those of tensor/quant_blocks.h; Q8_0's are stored + 128, so that all are unsigned.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace millrace {

constexpr int kPanelRows = 16;
constexpr int kSubBlock = 32;  // elements of k

struct PanelQ8_0 {
  F16 d[2][16];
  std::uint8_t q[2][8][64];
};
struct PanelQ4_0 {
  F16 d[2][16];
  std::uint8_t q[2][4][64];
};
struct PanelQ4_1 {
  F16 d[2][16];
  F16 m[2][16];
  std::uint8_t q[2][4][64];
};
struct PanelQ5_0 {
  F16 d[2][16];
  std::uint8_t high[2][64];
  std::uint8_t q[2][4][64];
};
struct PanelQ5_1 {
  F16 d[2][16];
  F16 m[2][16];
  std::uint8_t high[2][64];
  std::uint8_t q[2][4][64];
};
struct PanelQ4_K {
  F16 d[16];
  F16 dmin[16];
  std::uint8_t scale[8][16];
  std::uint8_t min[8][16];
  std::uint8_t q[8][4][64];
};
struct PanelQ5_K {
  F16 d[16];
  F16 dmin[16];
  std::uint8_t scale[8][16];
  std::uint8_t min[8][16];
  std::uint8_t high[8][64];
  std::uint8_t q[8][4][64];
};
struct PanelQ6_K {
  F16 d[16];
  std::uint8_t unused[32];
  std::int8_t scale[8][2][16];  // of groups 0 to 3 and 4 to 7
  std::uint8_t high[8][2][64];
  std::uint8_t q[8][4][64];
};
struct PanelBF16 {  // pairs of k instead of groups of four
  BF16 w[32][16][2];
};

// The panel block of a stored type: elements of k it holds, what is subtracted from its integers,
// and the stored block whose values it takes (32 or 256 elements).
template <DType>
struct PanelOf;
template <typename PanelType, typename StoredType, int kElements, int kSubtracted>
struct PanelTraits {
  using Type = PanelType;
  using Stored = StoredType;
  static constexpr int kLength = kElements;
  static constexpr int kOffset = kSubtracted;
  static_assert(sizeof(PanelType) % 64 == 0);
};
template <>
struct PanelOf<DType::Q8_0> : PanelTraits<PanelQ8_0, BlockQ8_0, 64, 128> {};
template <>
struct PanelOf<DType::Q4_0> : PanelTraits<PanelQ4_0, BlockQ4_0, 64, 8> {};
template <>
struct PanelOf<DType::Q4_1> : PanelTraits<PanelQ4_1, BlockQ4_1, 64, 0> {};
template <>
struct PanelOf<DType::Q5_0> : PanelTraits<PanelQ5_0, BlockQ5_0, 64, 16> {};
template <>
struct PanelOf<DType::Q5_1> : PanelTraits<PanelQ5_1, BlockQ5_1, 64, 0> {};
template <>
struct PanelOf<DType::Q4_K> : PanelTraits<PanelQ4_K, BlockQ4_K, 256, 0> {};
template <>
struct PanelOf<DType::Q5_K> : PanelTraits<PanelQ5_K, BlockQ5_K, 256, 0> {};
template <>
struct PanelOf<DType::Q6_K> : PanelTraits<PanelQ6_K, BlockQ6_K, 256, 32> {};
template <>
struct PanelOf<DType::BF16> : PanelTraits<PanelBF16, BF16, 64, 0> {};

// Calls body<kType>() for a type whose panels hold integers. Inlined, as sources for different
// instruction sets must share no code.
template <typename Body>
__attribute__((always_inline)) inline auto with_quantised(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::Q8_0:
      return body.template operator()<DType::Q8_0>();
    case DType::Q4_0:
      return body.template operator()<DType::Q4_0>();
    case DType::Q4_1:
      return body.template operator()<DType::Q4_1>();
    case DType::Q5_0:
      return body.template operator()<DType::Q5_0>();
    case DType::Q5_1:
      return body.template operator()<DType::Q5_1>();
    case DType::Q4_K:
      return body.template operator()<DType::Q4_K>();
    case DType::Q5_K:
      return body.template operator()<DType::Q5_K>();
    case DType::Q6_K:
      return body.template operator()<DType::Q6_K>();
    default:
      __builtin_trap();
  }
}

}  // namespace millrace
