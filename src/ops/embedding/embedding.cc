#include "ops/embedding/embedding.h"

#include "ops/embedding/embedding_kernels.h"

namespace millrace {

std::string to_string(const Embedding::Key& key) {
  return fmt::format("{} table to {}, hidden {}", to_string(key.table), to_string(key.activation),
                     key.hidden);
}

std::span<const KernelSpec<Embedding>> kernels_of(Embedding) {
  static const std::vector<KernelSpec<Embedding>> kAll =
      join_kernels<Embedding>({reference_embedding_kernels(), cuda::embedding_kernels(),
                               hip::embedding_kernels(), emulated::embedding_kernels()});
  return kAll;
}

}  // namespace millrace
