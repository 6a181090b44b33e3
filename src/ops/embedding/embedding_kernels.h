// The lists that kernels_of(Embedding) is put together from, one a source of kernels.
#pragma once

#include "ops/embedding/embedding.h"

namespace millrace {

std::span<const KernelSpec<Embedding>> reference_embedding_kernels();

}  // namespace millrace
