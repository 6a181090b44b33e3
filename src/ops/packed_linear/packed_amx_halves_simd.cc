// Products of BF16 weights by AMX: up to 32 rows by two panels, or few rows by four, whose weights
// come from memory. One sequence of operations for each result, whatever rows stand beside it.
#include "ops/packed_linear/amx_tiles.h"
#include "ops/packed_linear/packed_tiles.h"
#include "ops/packed_linear/row_encoding.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr int kStep = 32;  // elements of k in a register's row

// Rows of a block from t on, as registers load them.
class RowSource {
 public:
  RowSource(const PackedBlock& b, std::int64_t t, int rows) : b_(b), t_(t), rows_(rows) {}

  // 64 elements of k, from 64 i on, must be asked for in order.
  void go_to(std::int64_t i) {
    const auto bytes = static_cast<std::int64_t>(sizeof(EncodedHalves));
    if (!b_.in_rows) {
      at_ = b_.rows + t_ * b_.row_bytes + i * bytes;
      stride_ = b_.row_bytes;
      return;
    }
    for (int r = 0; r < rows_; ++r)  // they lie anywhere
      __builtin_memcpy(gathered_[r], encoded_row(b_, t_ + r) + i * bytes, sizeof(EncodedHalves));
    at_ = gathered_[0];
    stride_ = bytes;
  }
  const std::byte* at(int step) const { return at_ + step * kTileBytes; }
  std::int64_t stride() const { return stride_; }

 private:
  const PackedBlock& b_;
  std::int64_t t_;
  int rows_;
  const std::byte* at_ = nullptr;
  std::int64_t stride_ = 0;
  alignas(64) std::byte gathered_[kTileRows][sizeof(EncodedHalves)];
};

// Registers: sums from 0 on, then rows, then weights.
template <int kRowTiles, int kPanels>
class AmxHalves {
  static constexpr int kRowsFrom = kRowTiles * kPanels;
  static constexpr int kWeightsFrom = kRowsFrom + kRowTiles;
  static_assert(kWeightsFrom < 8);

 public:
  // Rows [t, t + rows), rows <= 16 kRowTiles.
  AmxHalves(Tiles& tiles, const PackedBlock& b, std::int64_t t, int rows)
      : tiles_(tiles), b_(b), t_(t) {
    TileShape shapes[8];
    for (int i = 0; i < kRowTiles; ++i) {
      const int left = rows - kTileRows * i;
      count_[i] = left < kTileRows ? left : kTileRows;
      for (int p = 0; p < kPanels; ++p) shapes[i * kPanels + p] = {count_[i], kTileBytes};
      shapes[kRowsFrom + i] = {count_[i], kTileBytes};
    }
    for (int i = kWeightsFrom; i < 8; ++i) shapes[i] = {kTileRows, kTileBytes};
    tiles_.configure(shapes);
  }

  // Times panels [first, first + kPanels).
  void run(std::int64_t first) {
    const PanelBF16* panels[kPanels];
    for (int p = 0; p < kPanels; ++p)
      panels[p] = reinterpret_cast<const PanelBF16*>(
          static_cast<const std::byte*>(b_.weight.panels) + (first + p) * b_.panel_bytes);
    RowSource rows[] = {{b_, t_, count_[0]},
                        {b_, t_ + kTileRows, kRowTiles > 1 ? count_[kRowTiles - 1] : 0}};
    zero_all(std::make_integer_sequence<int, kRowTiles * kPanels>());
    const std::int64_t blocks = (b_.weight.k + kEncodedLength - 1) / kEncodedLength;
    const bool from_memory = b_.count <= kTileRows;
    for (std::int64_t i = 0; i < blocks; ++i) {
      for (int r = 0; r < kRowTiles; ++r) rows[r].go_to(i);
      if (from_memory)  // 4 KB ahead in each stream
        for (int p = 0; p < kPanels; ++p)
          for (int line = 0; line < static_cast<int>(sizeof(PanelBF16)) / 64; ++line)
            __builtin_prefetch(reinterpret_cast<const std::byte*>(panels[p] + i) + 4096 +
                               64 * line);
      for (int step = 0; step < static_cast<int>(kEncodedLength) / kStep; ++step)
        multiply(rows, panels, i, step, std::make_integer_sequence<int, kPanels>());
    }
    store_all(first, std::make_integer_sequence<int, kRowTiles * kPanels>());
  }

 private:
  template <int... kTiles>
  __attribute__((always_inline)) void zero_all(std::integer_sequence<int, kTiles...>) {
    (tiles_.template zero<kTiles>(), ...);
  }

  template <int... kEach>
  __attribute__((always_inline)) void multiply(const RowSource (&rows)[2],
                                               const PanelBF16* const (&panels)[kPanels],
                                               std::int64_t i, int step,
                                               std::integer_sequence<int, kEach...>) {
    tiles_.template load<kRowsFrom>(rows[0].at(step), rows[0].stride());
    if constexpr (kRowTiles > 1)
      tiles_.template load<kRowsFrom + 1>(rows[1].at(step), rows[1].stride());
    (by_panel<kEach>(panels[kEach][i].w[step * kTileRows]), ...);
  }
  template <int kPanel>
  __attribute__((always_inline)) void by_panel(const void* weights) {
    constexpr int kB = kWeightsFrom + kPanel % (8 - kWeightsFrom);
    tiles_.template load<kB>(weights, kTileBytes);
    tiles_.template multiply_halves<kPanel, kRowsFrom, kB>();
    if constexpr (kRowTiles > 1)
      tiles_.template multiply_halves<kPanels + kPanel, kRowsFrom + 1, kB>();
  }

  template <int... kTiles>
  void store_all(std::int64_t first, std::integer_sequence<int, kTiles...>) {
    (store<kTiles>(first + kTiles % kPanels), ...);
  }
  template <int kTile>
  void store(std::int64_t panel) {
    alignas(64) float sums[kTileRows][16];
    tiles_.template store<kTile>(sums, kTileBytes);
    constexpr int kRowTile = kTile / kPanels;
    for (int r = 0; r < count_[kRowTile]; ++r)
      finish(b_, t_ + kTileRows * kRowTile + r, panel * kPanelRows, load(sums[r]));
  }

  Tiles& tiles_;
  const PackedBlock& b_;
  std::int64_t t_;
  int count_[kRowTiles];
};

template <int kRowTiles, int kPanels>
void multiply_rows(Tiles& tiles, const PackedBlock& b, std::int64_t t, int rows) {
  AmxHalves<kRowTiles, kPanels> amx(tiles, b, t, rows);
  std::int64_t panel = b.first;
  for (; panel + kPanels <= b.last; panel += kPanels) amx.run(panel);
  if (panel == b.last) return;
  AmxHalves<kRowTiles, 1> rest(tiles, b, t, rows);
  for (; panel < b.last; ++panel) rest.run(panel);
}

}  // namespace

void packed_halves(const PackedBlock& b) {
  Tiles tiles;
  std::int64_t t = 0;
  for (; b.count - t > kTileRows; t += 2 * kTileRows) {
    const std::int64_t left = b.count - t;
    multiply_rows<2, 2>(tiles, b, t, static_cast<int>(left < 2 * kTileRows ? left : 2 * kTileRows));
  }
  if (t < b.count) multiply_rows<1, 4>(tiles, b, t, static_cast<int>(b.count - t));
}

}  // namespace millrace::MILLRACE_ISA
