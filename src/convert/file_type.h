// What a GGUF file is called by its bulk ("Q4_K_M"), and the type each of its tensors then has.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/gguf_tensors.h"
#include "tensor/dtype.h"

namespace millrace {

struct FileType {
  std::string_view name;   // "q4_k_m"
  DType bulk;              // of most matrices
  std::uint32_t number;    // general.file_type: llama.cpp's llama_ftype
  bool more_bits = false;  // the "M" mixtures: some matrices in Q6_K
};

std::span<const FileType> file_types();
// By name, whatever its case; null for a stranger.
const FileType* find_file_type(std::string_view name);

// The type of each tensor, as llama.cpp's quantize chooses it without an importance matrix: F32 for
// whatever is small (norms, conv kernels, biases, routers), Q6_K for the head. Rows that are not
// whole blocks of a type take one of smaller blocks.
std::vector<DType> choose_types(const FileType& type, const ModelConfig& config,
                                std::span<const GgufTensor> tensors);

}  // namespace millrace
