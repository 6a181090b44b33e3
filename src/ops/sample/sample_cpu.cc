// Row after row on one thread: what the engine's own sampler does.
#include <algorithm>

#include "ops/sample/sample_kernels.h"
#include "ops/sample/sample_row.h"

namespace millrace {
namespace {

void run_cpu(const SampleParams& params, Stream&) {
  const SampleParams& p = params;
  const std::int64_t vocab = p.logits.columns;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const SampleRow& row = p.samples[t];
    if (row.slot < 0) continue;
    const std::span<float> logits(p.logits.row<float>(t), static_cast<std::size_t>(vocab));
    std::uint16_t* history = p.history + row.slot * vocab;
    if (row.mask >= 0) apply_mask(logits, p.masks + row.mask * sample_mask_words(vocab));
    if (row.uses_history) apply_penalties(logits, row, history);
    const bool damaged = std::any_of(logits.begin(), logits.end(), [](float x) { return x != x; });
    const std::int32_t token =
        damaged ? 0 : choose_token(logits, row, static_cast<SampleCandidate*>(p.workspace));
    if (row.kept) p.sampled[row.slot] = token;
    p.results[row.result] = damaged ? -1 : token;
    if (row.uses_history && !damaged) note_token(history, token);
  }
}

std::string rejects(const Sample::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "CPU kernels compute with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<Sample>> cpu_sample_kernels() {
  static constexpr KernelSpec<Sample> kSpecs[] = {
      {"cpu", Backend::Cpu, Priority::Portable, rejects, run_cpu}};
  return kSpecs;
}

}  // namespace millrace
