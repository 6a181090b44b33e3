// Weights in the order in which a CPU's kernels read them.
#pragma once

#include <span>

#include "model/weights.h"

namespace millrace {

// Packs every matrix, and every expert of `weights`, that has a kernel for it into memory of the
// device (a CPU), which `weights` then owns, and lets go of the pages of the checkpoint that it was
// read from. Takes about as long as copying the weights; shows its progress.
void pack_weights(std::span<MatrixWeight* const> matrices, ModelWeights& weights, Device& device);

}  // namespace millrace
