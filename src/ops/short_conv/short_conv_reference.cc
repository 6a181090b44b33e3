// The oracle: plain loops, sums in double.
#include <algorithm>
#include <vector>

#include "ops/short_conv/short_conv_kernels.h"

namespace millrace {
namespace {

void run_reference(const ShortConvParams& params, Stream&) {
  const ShortConvParams& p = params;
  const std::int64_t channels = p.out.columns;
  const std::int64_t ring = p.state.ring;
  std::vector<float> v;  // one channel: the columns before the span, then its own
  for (std::int64_t s = 0; s < p.batch.span_count; ++s) {
    const SpanView& span = p.batch.spans[s];
    float* slot = p.state.columns + span.slot * ring * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      v.clear();
      for (std::int64_t back = p.taps - 1; back > 0; --back) {
        const std::int64_t position = span.position - back;
        v.push_back(position >= span.conv_from ? slot[position % ring * channels + c] : 0.0f);
      }
      for (std::int64_t i = 0; i < span.count; ++i) {
        const float* gates = p.gates.row<float>(span.first_row + i);
        v.push_back(gates[c] * gates[2 * channels + c]);
        double sum = p.bias ? p.bias[c] : 0;
        for (std::int64_t k = 0; k < p.taps; ++k)
          sum += double{p.kernel[k * channels + c]} * v[static_cast<std::size_t>(i + k)];
        p.out.row<float>(span.first_row + i)[c] = static_cast<float>(gates[channels + c] * sum);
      }
      for (std::int64_t i = std::max<std::int64_t>(0, span.count - ring); i < span.count; ++i)
        slot[(span.position + i) % ring * channels + c] =
            v[static_cast<std::size_t>(p.taps - 1 + i)];
    }
  }
}

std::string rejects(const ShortConv::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<ShortConv>> reference_short_conv_kernels() {
  static constexpr KernelSpec<ShortConv> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
