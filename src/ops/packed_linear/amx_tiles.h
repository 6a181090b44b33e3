// The matrix registers of AMX: eight of up to 16 rows of 64 bytes. Included by sources that are
// compiled for `amx`, and for `amx_emulated`, where plain loops stand in for the instructions, so
// that what is built of them can be tested on any processor with AVX-512.
#pragma once

#include <cstdint>
#include <cstring>

#include "ops/simd.h"
#include "tensor/half.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr int kTileRows = 16;
constexpr int kTileBytes = 64;  // of a row

struct TileShape {
  int rows = 0;
  int bytes = 0;  // of a row
};

#if defined(MILLRACE_ISA_amx)

// Holds the registers as long as it lives; their numbers are template arguments, as instructions
// have them.
class Tiles {
 public:
  Tiles() = default;
  ~Tiles() { asm volatile("tilerelease" ::: "memory"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  // Clears all of them.
  __attribute__((always_inline)) void configure(const TileShape (&shapes)[8]) {
    struct alignas(64) {
      std::uint8_t palette = 1;
      std::uint8_t unused[15] = {};
      std::uint16_t bytes[16] = {};
      std::uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; ++i) {
      config.bytes[i] = static_cast<std::uint16_t>(shapes[i].bytes);
      config.rows[i] = static_cast<std::uint8_t>(shapes[i].rows);
    }
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  template <int kTile>
  __attribute__((always_inline)) void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  template <int kTile>
  __attribute__((always_inline)) void load(const void* from, std::int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  __attribute__((always_inline)) void store(void* to, std::int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
  }
  // c[m][n] += sum over k and i < 4 of the signed a[m][4k + i] times the unsigned b[k][4n + i]
  template <int kC, int kA, int kB>
  __attribute__((always_inline)) void multiply_bytes() {
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
  // The same of floats, and pairs of BF16.
  template <int kC, int kA, int kB>
  __attribute__((always_inline)) void multiply_halves() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
};

#else

class Tiles {
 public:
  void configure(const TileShape (&shapes)[8]) {
    std::memset(data_, 0, sizeof(data_));
    for (int i = 0; i < 8; ++i) shapes_[i] = shapes[i];
  }
  template <int kTile>
  void zero() {
    std::memset(data_[kTile], 0, sizeof(data_[kTile]));
  }
  template <int kTile>
  void load(const void* from, std::int64_t stride) {
    zero<kTile>();
    for (int r = 0; r < shapes_[kTile].rows; ++r)
      std::memcpy(data_[kTile][r], static_cast<const char*>(from) + r * stride,
                  static_cast<std::size_t>(shapes_[kTile].bytes));
  }
  template <int kTile>
  void store(void* to, std::int64_t stride) {
    for (int r = 0; r < shapes_[kTile].rows; ++r)
      std::memcpy(static_cast<char*>(to) + r * stride, data_[kTile][r],
                  static_cast<std::size_t>(shapes_[kTile].bytes));
  }
  template <int kC, int kA, int kB>
  void multiply_bytes() {
    const TileShape c = shape_of_product(kC, kA, kB);
    for (int m = 0; m < c.rows; ++m)
      for (int n = 0; n < c.bytes / 4; ++n) {
        auto sum = word<std::int32_t>(kC, m, n);
        for (int k = 0; k < shapes_[kA].bytes / 4; ++k)
          for (int i = 0; i < 4; ++i)
            sum += static_cast<std::int8_t>(data_[kA][m][4 * k + i]) * data_[kB][k][4 * n + i];
        set_word(kC, m, n, sum);
      }
  }
  template <int kC, int kA, int kB>
  void multiply_halves() {
    const TileShape c = shape_of_product(kC, kA, kB);
    for (int m = 0; m < c.rows; ++m)
      for (int n = 0; n < c.bytes / 4; ++n) {
        float sums[2] = {};  // of even and of odd elements
        for (int k = 0; k < shapes_[kA].bytes / 4; ++k)
          for (int i = 0; i < 2; ++i)
            sums[i] = __builtin_fmaf(half(kA, m, 2 * k + i), half(kB, k, 2 * n + i), sums[i]);
        set_word(kC, m, n, word<float>(kC, m, n) + (sums[0] + sums[1]));
      }
  }

 private:
  // The instructions fault where shapes do not fit.
  TileShape shape_of_product(int c, int a, int b) const {
    const bool fits = shapes_[c].rows == shapes_[a].rows && shapes_[c].bytes == shapes_[b].bytes &&
                      shapes_[a].bytes == 4 * shapes_[b].rows && shapes_[c].rows > 0;
    if (!fits) __builtin_trap();
    return shapes_[c];
  }
  template <typename T>
  T word(int tile, int row, int i) const {
    T value;
    std::memcpy(&value, data_[tile][row] + 4 * i, 4);
    return value;
  }
  template <typename T>
  void set_word(int tile, int row, int i, T value) {
    std::memcpy(data_[tile][row] + 4 * i, &value, 4);
  }
  float half(int tile, int row, int i) const {
    BF16 value;
    std::memcpy(&value, data_[tile][row] + 2 * i, 2);
    return to_float(value);
  }

  std::uint8_t data_[8][kTileRows][kTileBytes] = {};
  TileShape shapes_[8];
};

#endif

}  // namespace
}  // namespace millrace::MILLRACE_ISA
