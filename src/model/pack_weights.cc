#include "model/pack_weights.h"

#include "base/progress.h"
#include "device/cpu/cpu_device.h"
#include "ops/packed_linear/packing.h"

namespace millrace {

void pack_weights(std::span<MatrixWeight* const> matrices, ModelWeights& weights, Device& device) {
  std::uint64_t total = 0;
  for (const MatrixWeight* matrix : matrices)
    if (matrix->packed_kernel) total += static_cast<std::uint64_t>(matrix->weight.bytes());
  if (total == 0) return;
  Progress progress("packing weights", total);
  const std::unique_ptr<Stream> stream = device.make_stream();
  for (MatrixWeight* matrix : matrices) {
    if (!matrix->packed_kernel) continue;
    const TensorView& stored = matrix->weight;
    DeviceBuffer panels = device.allocate(
        static_cast<std::size_t>(packed_bytes(stored.dtype, stored.shape[0], stored.shape[1])));
    matrix->packed = pack_matrix(stored, panels.as<void>(), pool_of(*stream));
    weights.buffers.push_back(std::move(panels));
    // A tied head's rows are still looked up as they are stored.
    if (weights.checkpoint && stored.data != weights.embedding.data)
      weights.checkpoint->forget(stored);
    progress.advance(static_cast<std::uint64_t>(stored.bytes()));
  }
}

}  // namespace millrace
