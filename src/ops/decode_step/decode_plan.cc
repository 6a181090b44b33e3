#include "ops/decode_step/decode_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "ops/decode_step/decode_shared.h"

namespace millrace {
namespace {

// Even shares: they differ by one unit at most.
std::vector<DecodeRange> share_units(std::int64_t units, int processors) {
  std::vector<DecodeRange> ranges;
  for (std::int64_t p = 0; p < processors; ++p)
    ranges.push_back({static_cast<std::int32_t>(units * p / processors),
                      static_cast<std::int32_t>(units * (p + 1) / processors)});
  return ranges;
}

}  // namespace

int PlannedPhase::most_units() const {
  int most = 0;
  for (const DecodeRange& range : ranges) most = std::max(most, range.last - range.first);
  return most;
}

int PlannedPhase::producers() const {
  return static_cast<int>(std::count_if(ranges.begin(), ranges.end(), [](const DecodeRange& range) {
    return range.first < range.last;
  }));
}

std::string decode_shape_problem(const DecodeShape& shape) {
  const auto is_whole = [](std::int64_t n, std::int64_t unit) { return n > 0 && n % unit == 0; };
  if (shape.head_dim != kDecodeHeadDim) return "needs heads of 64";
  if (shape.kv_heads < 1 || shape.heads % shape.kv_heads != 0 ||
      shape.heads / shape.kv_heads > kDecodeMostGroup)
    return fmt::format("needs at most {} query heads for a KV head", kDecodeMostGroup);
  if (std::int64_t{shape.heads} * shape.head_dim != shape.hidden)
    return "needs heads that make up the hidden size";
  if (!is_whole(shape.hidden, kDecodeStripColumns) || shape.hidden > 4096)
    return "needs a hidden size in steps of 256, up to 4096";
  if (!is_whole(shape.ffn, kDecodeStripColumns) || shape.ffn > 12288)
    return "needs an FFN width in steps of 256, up to 12288";
  if (!is_whole(shape.vocab, kDecodeSubRows) || shape.vocab > (std::int64_t{1} << 24))
    return "needs a vocabulary in eights";
  if (shape.taps < 1) return "needs a convolution of one tap or more";
  if (shape.attends.empty()) return "needs layers";
  return {};
}

// Measured on an H200 with 1.2B up to 31,000 positions, and from there along straight lines
// (docs/gpu.md): for up to 1, 2, 4 and 8 sequences. What the kernel gains without context was
// measured with 350M to 2.6B; what it loses by attention goes with the KV heads of all layers.
std::int64_t decode_step_most_context(std::int64_t rows, std::int64_t weight_bytes,
                                      std::int64_t kv_heads) {
  constexpr double kMeasured[] = {30000, 50000, 28000, 7500};
  constexpr double kMeasuredBytes = 2.34e9;
  constexpr double kMeasuredHeads = 6 * 8;
  const auto gain = [](double bytes) { return 0.05 + 0.108e-9 * bytes; };  // milliseconds
  const double most = kMeasured[rows <= 1   ? 0
                                : rows <= 2 ? 1
                                : rows <= 4 ? 2
                                            : 3] *
                      gain(static_cast<double>(weight_bytes)) / gain(kMeasuredBytes) *
                      kMeasuredHeads / static_cast<double>(std::max<std::int64_t>(1, kv_heads));
  return static_cast<std::int64_t>(most);
}

DecodePlan plan_decode_step(const DecodeShape& shape, int processors) {
  check(decode_shape_problem(shape).empty() && processors > 0, "no decode step can be planned");
  DecodePlan plan;
  plan.processors = processors;
  std::int64_t input = 0;  // where the phase before left its output
  // `words` of output for a sequence.
  const auto add = [&](DecodePhaseKind kind, DecodeSource source, int layer, std::int64_t k,
                       std::int64_t units, std::int64_t words) {
    PlannedPhase phase{kind, source, layer, k, units};
    phase.subs = kind == DecodePhaseKind::Conv ? 3 : 1;
    phase.is_ffn =
        layer >= 0 && !plan.phases.empty() &&
        (kind == DecodePhaseKind::Swiglu || plan.phases.back().kind == DecodePhaseKind::Swiglu);
    phase.in = input;
    phase.out = input = plan.row_words;
    plan.row_words += (words + 31) / 32 * 32;  // 128 bytes
    phase.weights = plan.weight_bytes;
    plan.weight_bytes += phase.bytes();
    phase.ranges = share_units(units, plan.processors);
    plan.most_strips = std::max(plan.most_strips, static_cast<int>(k / kDecodeStripColumns));
    if (kind == DecodePhaseKind::Residual) plan.most_hidden_units = phase.most_units();
    plan.phases.push_back(std::move(phase));
  };
  using Kind = DecodePhaseKind;
  using Source = DecodeSource;
  const std::int64_t hidden = shape.hidden;
  const std::int64_t hidden_units = hidden / kDecodeSubRows;
  const std::int64_t qkv = std::int64_t{shape.heads + 2 * shape.kv_heads} * shape.head_dim;
  for (std::size_t i = 0; i < shape.attends.size(); ++i) {
    const int layer = static_cast<int>(i);
    const Source source = i == 0 ? Source::Embedding : Source::Residual;
    if (shape.attends[i]) {
      add(Kind::Qkv, source, layer, hidden, qkv / kDecodeSubRows, qkv / 2);
      add(Kind::Attention, Source::Packed, layer, 0, 0,
          std::int64_t{kDecodeStepMostSplits} * shape.heads * (shape.head_dim + 1));
      add(Kind::Residual, Source::Parts, layer, hidden, hidden_units, hidden);
    } else {
      add(Kind::Conv, source, layer, hidden, hidden_units, hidden / 2);
      add(Kind::Residual, Source::Packed, layer, hidden, hidden_units, hidden);
    }
    add(Kind::Swiglu, Source::Residual, layer, hidden, 2 * shape.ffn / kDecodeSubRows,
        shape.ffn / 2);
    add(Kind::Residual, Source::Packed, layer, shape.ffn, hidden_units, hidden);
  }
  add(Kind::Head, Source::Residual, -1, hidden, shape.vocab / kDecodeSubRows, 0);
  return plan;
}

DecodeSharedLayout decode_shared_layout(const DecodePlan& plan, int rows,
                                        std::int64_t shared_bytes) {
  DecodeSharedLayout layout;
  layout.part_buffers = rows <= 4 ? kDecodeMostParts : 6;
  const std::int64_t others =
      decode_fixed_bytes(plan.most_strips, rows, static_cast<std::int64_t>(plan.phases.size()),
                         plan.most_hidden_units) +
      layout.part_buffers * decode_part_bytes(rows);
  layout.tiles = static_cast<int>(
      std::clamp<std::int64_t>((shared_bytes - others) / kDecodeTileBytes, 0, kDecodeMostTiles));
  layout.bytes = others + layout.tiles * std::int64_t{kDecodeTileBytes};
  return layout;
}

}  // namespace millrace
