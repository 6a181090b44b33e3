// Lanes run over channels; a lane walks its span's tokens with the last K-1 columns of v at hand.
#include "ops/short_conv/short_conv_kernels.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

// One channel: the tail of a width that is no multiple of the lanes.
struct Lane {
  using Value = float;
  MILLRACE_INLINE float get(const float* from) { return *from; }
  MILLRACE_INLINE void put(float* to, float value) { *to = value; }
  MILLRACE_INLINE float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
};
struct Vector {
  using Value = Floats;
  MILLRACE_INLINE Floats get(const float* from) { return load(from); }
  MILLRACE_INLINE void put(float* to, Floats value) { store(to, value); }
  MILLRACE_INLINE Floats multiply_add(Floats a, Floats b, Floats c) { return fma(a, b, c); }
};

// kTaps 0: as many as the params say, up to kMostTaps.
constexpr int kMostTaps = 64;

template <typename Unit, int kTaps>
MILLRACE_INLINE void walk(const ShortConvParams& p, const SpanView& span, std::int64_t c) {
  using Value = typename Unit::Value;
  const int taps = kTaps > 0 ? kTaps : p.taps;
  const std::int64_t channels = p.out.columns;
  const std::int64_t ring = p.state.ring;
  float* slot = p.state.columns + span.slot * ring * channels + c;
  Value kernel[kTaps > 0 ? kTaps : kMostTaps];
  Value past[kTaps > 0 ? kTaps : kMostTaps];  // past[0] is the oldest; [taps-1] the current one
  for (int k = 0; k < taps; ++k) kernel[k] = Unit::get(p.kernel + k * channels + c);
  for (int k = 0; k + 1 < taps; ++k) {
    const std::int64_t position = std::int64_t{span.position} - (taps - 1) + k;
    past[k] = position >= span.conv_from && position >= 0
                  ? Unit::get(slot + position % ring * channels)
                  : Value{};
  }
  const Value bias = p.bias ? Unit::get(p.bias + c) : Value{};
  for (std::int64_t i = 0; i < span.count; ++i) {
    const float* gates = p.gates.row<float>(span.first_row + i) + c;
    past[taps - 1] = Unit::get(gates) * Unit::get(gates + 2 * channels);
    Value total = bias;
    for (int k = 0; k < taps; ++k) total = Unit::multiply_add(kernel[k], past[k], total);
    Unit::put(p.out.row<float>(span.first_row + i) + c, Unit::get(gates + channels) * total);
    // Only the last columns survive in the ring; old ones were read above.
    if (i >= span.count - ring)
      Unit::put(slot + (span.position + i) % ring * channels, past[taps - 1]);
    for (int k = 0; k + 1 < taps; ++k) past[k] = past[k + 1];
  }
}

template <int kTaps>
void channels_of(const ShortConvParams& p, std::int64_t first, std::int64_t last) {
  for (std::int64_t s = 0; s < p.batch.span_count; ++s) {
    std::int64_t c = first;
    for (; c + kLanes <= last; c += kLanes) walk<Vector, kTaps>(p, p.batch.spans[s], c);
    for (; c < last; ++c) walk<Lane, kTaps>(p, p.batch.spans[s], c);
  }
}

}  // namespace

void short_conv_channels(const ShortConvParams& p, std::int64_t first, std::int64_t last) {
  if (p.taps == 3) return channels_of<3>(p, first, last);
  if (p.taps == 4) return channels_of<4>(p, first, last);
  if (p.taps == 7) return channels_of<7>(p, first, last);
  channels_of<0>(p, first, last);
}

}  // namespace millrace::MILLRACE_ISA
