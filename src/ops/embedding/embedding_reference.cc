// The oracle: plain loops, sums in double.
#include "ops/embedding/embedding_kernels.h"
#include "tensor/decode_row.h"

namespace millrace {
namespace {

void run_reference(const EmbeddingParams& params, Stream&) {
  const EmbeddingParams& p = params;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const std::int32_t token = p.tokens[t] < 0 ? p.sampled[-1 - p.tokens[t]] : p.tokens[t];
    const auto* row = p.table.as<std::byte>() + token * bytes_of(p.table.dtype, p.table.shape[1]);
    decode_row(p.table.dtype, row, p.table.shape[1], p.out.row<float>(t));
  }
}

std::string rejects(const Embedding::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<Embedding>> reference_embedding_kernels() {
  static constexpr KernelSpec<Embedding> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
