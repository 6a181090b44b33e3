// The lists that kernels_of(Embedding) is put together from, one a source of kernels.
#pragma once

#include "ops/embedding/embedding.h"

namespace millrace {

std::span<const KernelSpec<Embedding>> reference_embedding_kernels();

// The portable GPU kernels, embedding_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<Embedding>> embedding_kernels();
}
namespace hip {
std::span<const KernelSpec<Embedding>> embedding_kernels();
}
namespace emulated {
std::span<const KernelSpec<Embedding>> embedding_kernels();
}

}  // namespace millrace
