#include "ops/decode_step/decode_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "ops/decode_step/decode_shared.h"

namespace millrace {
namespace {

struct Case {
  std::string name;
  DecodeShape shape;
  int processors;
};

std::vector<bool> layers(int count, const std::vector<int>& attention) {
  std::vector<bool> attends(static_cast<std::size_t>(count));
  for (const int i : attention) attends[static_cast<std::size_t>(i)] = true;
  return attends;
}

std::vector<Case> cases() {
  const std::vector<bool> sixteen = layers(16, {2, 5, 8, 10, 12, 14});
  const std::vector<bool> thirty = layers(30, {2, 5, 9, 13, 17, 21, 24, 27});
  const std::vector<std::pair<std::string, DecodeShape>> shapes = {
      {"350M", {1024, 4608, 65536, 16, 8, 64, 3, sixteen}},
      {"700M", {1536, 6912, 65536, 24, 8, 64, 3, sixteen}},
      {"1.2B", {2048, 8192, 65536, 32, 8, 64, 3, sixteen}},
      {"2.6B", {2048, 10752, 128000, 32, 8, 64, 3, thirty}},
      {"nano", {256, 256, 1024, 4, 2, 64, 3, layers(6, {1, 3, 5})}},
      {"attention first", {256, 512, 1024, 4, 4, 64, 1, {true, false}}}};
  std::vector<Case> all;
  for (const auto& [name, shape] : shapes)
    for (const int processors : {1, 7, 78, 128, 132, 148, 3000})
      all.push_back({name + " on " + std::to_string(processors), shape, processors});
  return all;
}

std::int64_t rows_of(DecodePhaseKind kind, const DecodeShape& s) {
  switch (kind) {
    case DecodePhaseKind::Conv:
      return 3 * s.hidden;
    case DecodePhaseKind::Qkv:
      return std::int64_t{s.heads + 2 * s.kv_heads} * s.head_dim;
    case DecodePhaseKind::Residual:
      return s.hidden;
    case DecodePhaseKind::Swiglu:
      return 2 * s.ffn;
    case DecodePhaseKind::Head:
      return s.vocab;
    case DecodePhaseKind::Attention:
      return 0;
  }
  return 0;
}

TEST(DecodePlanTest, EveryWeightRowAppearsOnce) {
  for (const Case& c : cases()) {
    if (c.processors != 132) continue;  // rows do not depend on it
    SCOPED_TRACE(c.name);
    for (const PlannedPhase& phase : plan_decode_step(c.shape, c.processors).phases) {
      const std::int64_t rows = rows_of(phase.kind, c.shape);
      const std::int64_t matrices = phase.kind == DecodePhaseKind::Swiglu ? 2 : 1;
      std::vector<int> seen(static_cast<std::size_t>(rows));
      for (std::int64_t unit = 0; unit < phase.units; ++unit)
        for (int sub = 0; sub < phase.subs; ++sub)
          for (int i = 0; i < kDecodeSubRows; ++i) {
            const DecodeRow row = decode_row(phase.kind, c.shape.hidden, unit, sub, i);
            const std::int64_t at = row.matrix * (rows / matrices) + row.row;
            ASSERT_LT(row.matrix, matrices);
            ASSERT_LT(row.row, rows / matrices);
            ++seen[static_cast<std::size_t>(at)];
          }
      EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), rows);
    }
  }
}

TEST(DecodePlanTest, UnitsAreSharedOutEvenly) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const DecodePlan plan = plan_decode_step(c.shape, c.processors);
    EXPECT_EQ(plan.processors, c.processors);
    for (const PlannedPhase& phase : plan.phases) {
      ASSERT_EQ(phase.ranges.size(), static_cast<std::size_t>(c.processors));
      std::int64_t next = 0;  // unit
      int producers = 0;
      for (const DecodeRange& range : phase.ranges) {
        EXPECT_EQ(range.first, next);
        next = range.last;
        const std::int64_t own = range.last - range.first;
        EXPECT_GE(own, phase.units / c.processors);
        EXPECT_LE(own, phase.units / c.processors + 1);
        EXPECT_LE(own, phase.most_units());
        producers += own > 0 ? 1 : 0;
      }
      EXPECT_EQ(next, phase.units);
      EXPECT_EQ(producers, phase.producers());
    }
  }
}

TEST(DecodePlanTest, RowsAreCutIntoWholeTiles) {
  for (const int strips : {1, 2, 3, 4, 6, 8, 16, 18, 27, 32, 42}) {
    const int tile = decode_tile_strips(strips);
    EXPECT_EQ(strips % tile, 0);
    EXPECT_LE(tile, kDecodeTileStrips);
  }
}

// The residual stream stays where it was added to: all its phases share it out alike.
TEST(DecodePlanTest, ResidualRowsStayWithTheirOwner) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const DecodePlan plan = plan_decode_step(c.shape, c.processors);
    const PlannedPhase* first = nullptr;
    for (const PlannedPhase& phase : plan.phases) {
      if (phase.kind != DecodePhaseKind::Residual) continue;
      if (!first) first = &phase;
      for (int p = 0; p < plan.processors; ++p) {
        const auto at = static_cast<std::size_t>(p);
        EXPECT_EQ(phase.ranges[at].first, first->ranges[at].first);
        EXPECT_LE(phase.ranges[at].last - phase.ranges[at].first, plan.most_hidden_units);
      }
    }
  }
}

TEST(DecodePlanTest, PhasesFollowTheLayersAndReadWhatTheOneBeforeWrote) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const DecodePlan plan = plan_decode_step(c.shape, c.processors);
    std::size_t at = 0;
    using Kind = DecodePhaseKind;
    const auto expect = [&](Kind kind) {
      ASSERT_LT(at, plan.phases.size());
      EXPECT_EQ(plan.phases[at].kind, kind);
      if (at > 0) {
        EXPECT_EQ(plan.phases[at].in, plan.phases[at - 1].out);
      }
      ++at;
    };
    for (const bool attends : c.shape.attends) {
      expect(attends ? Kind::Qkv : Kind::Conv);
      if (attends) expect(Kind::Attention);
      expect(Kind::Residual);
      expect(Kind::Swiglu);
      expect(Kind::Residual);
    }
    expect(Kind::Head);
    EXPECT_EQ(at, plan.phases.size());
    EXPECT_EQ(plan.phases.front().source, DecodeSource::Embedding);
  }
}

TEST(DecodePlanTest, NoTwoOutputsOrWeightsOverlap) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const DecodePlan plan = plan_decode_step(c.shape, c.processors);
    std::int64_t words = 0;
    std::int64_t bytes = 0;
    for (const PlannedPhase& phase : plan.phases) {
      EXPECT_GE(phase.out, words);
      EXPECT_EQ(phase.out % 32, 0);
      std::int64_t own = phase.units * kDecodeSubRows;  // words: F32, or BF16 in pairs
      if (phase.kind == DecodePhaseKind::Head) own = 0;
      if (phase.kind == DecodePhaseKind::Conv || phase.kind == DecodePhaseKind::Qkv) own /= 2;
      if (phase.kind == DecodePhaseKind::Swiglu) own /= 4;
      if (phase.kind == DecodePhaseKind::Attention)
        own = std::int64_t{kDecodeStepMostSplits} * c.shape.heads * (c.shape.head_dim + 1);
      words = phase.out + own;
      EXPECT_EQ(phase.weights, bytes);
      EXPECT_EQ(phase.bytes(), rows_of(phase.kind, c.shape) * phase.k * 2);
      bytes += phase.bytes();
    }
    EXPECT_LE(words, plan.row_words);
    EXPECT_EQ(bytes, plan.weight_bytes);
  }
}

TEST(DecodePlanTest, SharedMemoryHoldsWhatEightRowsNeed) {
  const DecodeShape shape = {2048, 8192, 65536, 32, 8, 64, 3, layers(16, {2, 5, 8, 10, 12, 14})};
  const DecodePlan plan = plan_decode_step(shape, 132);
  int more = 100;
  for (const int rows : {1, 2, 4, 8}) {
    const DecodeSharedLayout layout = decode_shared_layout(plan, rows, 227 * 1024);
    EXPECT_LE(layout.bytes, 227 * 1024);
    EXPECT_GE(layout.tiles, kDecodeFewestTiles);
    EXPECT_LE(layout.tiles, more);
    more = layout.tiles;
  }
  EXPECT_EQ(decode_shared_layout(plan, 1, 100).tiles, 0);
}

TEST(DecodePlanTest, LongContextsGoOpByOp) {
  const std::int64_t of_1_2b = decode_step_most_context(1, 2'340'000'000, 48);
  EXPECT_EQ(of_1_2b, 30000);
  // Smaller models gain less, and more heads lose more.
  EXPECT_LT(decode_step_most_context(1, 700'000'000, 48), of_1_2b);
  EXPECT_LT(decode_step_most_context(1, 2'340'000'000, 64), of_1_2b);
  EXPECT_LT(decode_step_most_context(8, 2'340'000'000, 48),
            decode_step_most_context(4, 2'340'000'000, 48));
  EXPECT_GT(decode_step_most_context(3, 2'340'000'000, 0), 0);
}

TEST(DecodePlanTest, UnfitShapesAreRefused) {
  const DecodeShape good = {256, 256, 1024, 4, 2, 64, 3, {false, true}};
  EXPECT_EQ(decode_shape_problem(good), "");
  const auto refuses = [&](auto change) {
    DecodeShape shape = good;
    change(shape);
    return !decode_shape_problem(shape).empty();
  };
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.head_dim = 128; }));
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.kv_heads = 0; }));
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.kv_heads = 3; }));
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.hidden = 320; }));
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.ffn = 300; }));
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.vocab = 1001; }));
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.taps = 0; }));
  EXPECT_TRUE(refuses([](DecodeShape& s) { s.attends.clear(); }));
}

}  // namespace
}  // namespace millrace
