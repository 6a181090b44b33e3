// How a kernel for embedding_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/embedding/embedding_params.h"
#include "ops/kernel_registry.h"
#include "tensor/dtype.h"

namespace millrace {

struct Embedding {
  static constexpr std::string_view kName = "embedding";
  struct Key {
    DType table;
    DType activation;
    std::int64_t hidden;
  };
  using Params = EmbeddingParams;
  using Launch = void (*)(const EmbeddingParams&, Stream&);
};

std::string to_string(const Embedding::Key& key);
std::span<const KernelSpec<Embedding>> kernels_of(Embedding);

}  // namespace millrace
