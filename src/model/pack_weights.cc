#include "model/pack_weights.h"

#include "base/progress.h"
#include "device/cpu/cpu_device.h"
#include "ops/packed_linear/packing.h"

namespace millrace {
namespace {

std::int64_t packed_bytes_of(const TensorView& matrix) {
  return packed_bytes(matrix.dtype, matrix.shape[0], matrix.shape[1]);
}

// Packs matrices one after another.
class Packer {
 public:
  Packer(ModelWeights& weights, Device& device, std::uint64_t total)
      : weights_(weights),
        device_(device),
        stream_(device.make_stream()),
        progress_("packing weights", total) {}

  void pack(MatrixWeight& matrix) {
    std::byte* to = allocate(packed_bytes_of(matrix.weight));
    matrix.packed = pack(matrix.weight, to);
  }

  void pack(MoeWeights& moe) {
    std::int64_t bytes = 0;
    for (const ExpertView& expert : moe.experts)
      bytes += packed_bytes_of(expert.w1) + packed_bytes_of(expert.w3) + packed_bytes_of(expert.w2);
    std::byte* to = allocate(bytes);
    const auto next = [&](const TensorView& matrix) {
      const PackedView packed = pack(matrix, to);
      to += packed_bytes_of(matrix);
      return packed;
    };
    for (const ExpertView& expert : moe.experts)
      moe.packed.push_back({.w1 = next(expert.w1), .w3 = next(expert.w3), .w2 = next(expert.w2)});
  }

 private:
  std::byte* allocate(std::int64_t bytes) {
    weights_.buffers.push_back(device_.allocate(static_cast<std::size_t>(bytes)));
    return weights_.buffers.back().as<std::byte>();
  }

  PackedView pack(const TensorView& stored, std::byte* to) {
    const PackedView packed = pack_matrix(stored, to, pool_of(*stream_));
    // A tied head's rows are still looked up as they are stored.
    if (weights_.checkpoint && stored.data != weights_.embedding.data)
      weights_.checkpoint->forget(stored);
    progress_.advance(static_cast<std::uint64_t>(stored.bytes()));
    return packed;
  }

  ModelWeights& weights_;
  Device& device_;
  std::unique_ptr<Stream> stream_;
  Progress progress_;
};

}  // namespace

void pack_weights(std::span<MatrixWeight* const> matrices, ModelWeights& weights, Device& device) {
  std::int64_t total = 0;
  for (const MatrixWeight* matrix : matrices)
    if (matrix->packed_kernel) total += matrix->weight.bytes();
  for (const LayerWeights& layer : weights.layers)
    if (layer.moe && layer.moe->packed_kernel)
      for (const ExpertView& expert : layer.moe->experts)
        total += expert.w1.bytes() + expert.w3.bytes() + expert.w2.bytes();
  if (total == 0) return;
  Packer packer(weights, device, static_cast<std::uint64_t>(total));
  for (MatrixWeight* matrix : matrices)
    if (matrix->packed_kernel) packer.pack(*matrix);
  for (LayerWeights& layer : weights.layers)
    if (layer.moe && layer.moe->packed_kernel) packer.pack(*layer.moe);
}

}  // namespace millrace
