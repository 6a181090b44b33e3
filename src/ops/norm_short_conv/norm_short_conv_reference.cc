// The oracle: plain loops, sums in double.
#include "ops/norm_short_conv/norm_short_conv_kernels.h"
#include "ops/stream/normed_product.h"

namespace millrace {
namespace {

void run_reference(const NormShortConvParams& params, Stream&) {
  const NormShortConvParams& p = params;
  const std::int64_t k = p.in.columns;
  const std::int64_t channels = p.out.columns;
  for (std::int64_t t = 0; t < p.batch.rows; ++t) {
    const NormedRow row = normed_row(p.in.row<float>(t), p.norm_weight, k, double{p.epsilon});
    const SpanView& span = p.batch.spans[t];
    float* slot = p.state.columns + span.slot * p.state.ring * channels;
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      const auto gate = [&](std::int64_t part) {
        const std::int64_t n = part * channels + channel;
        const double sum = multiply(row, p.in_proj.as<BF16>() + n * k).value;
        return to_float(to_bf16(static_cast<float>(sum + (p.in_bias ? p.in_bias[n] : 0.0f))));
      };
      const float now = gate(0) * gate(2);
      double sum = p.bias ? p.bias[channel] : 0.0f;
      for (std::int64_t tap = 0; tap < p.taps - 1; ++tap) {
        const std::int64_t position = span.position - (p.taps - 1 - tap);
        if (position < span.conv_from || position < 0) continue;
        sum += double{p.kernel[tap * channels + channel]} *
               slot[position % p.state.ring * channels + channel];
      }
      sum += double{p.kernel[(p.taps - 1) * channels + channel]} * now;
      p.out.row<float>(t)[channel] = static_cast<float>(gate(1) * sum);
      slot[span.position % p.state.ring * channels + channel] = now;
    }
  }
}

std::string rejects(const NormShortConv::Key& key, const DeviceTraits&) {
  return key.weight != DType::BF16 ? "the reference reads BF16 weights" : "";
}

}  // namespace

std::span<const KernelSpec<NormShortConv>> reference_norm_short_conv_kernels() {
  static constexpr KernelSpec<NormShortConv> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
