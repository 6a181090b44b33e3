// out[t] = table[tokens[t]]: the rows of the embedding matrix, widened. No scaling (spec 4.1).
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct EmbeddingParams {
  TensorView table;            // [vocab, hidden], any stored type
  const std::int32_t* tokens;  // [rows], each in [0, vocab): the engine checks before the step
  MatrixView out;              // [rows, hidden]
  std::int64_t rows;
};

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
