#include "convert/file_type.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace millrace {
namespace {

constexpr std::array<FileType, 11> kFileTypes = {{
    {"f32", DType::F32, 0},
    {"f16", DType::F16, 1},
    {"bf16", DType::BF16, 32},
    {"q8_0", DType::Q8_0, 7},
    {"q6_k", DType::Q6_K, 18},
    {"q5_k_m", DType::Q5_K, 17, true},
    {"q5_1", DType::Q5_1, 9},
    {"q5_0", DType::Q5_0, 8},
    {"q4_k_m", DType::Q4_K, 15, true},
    {"q4_1", DType::Q4_1, 3},
    {"q4_0", DType::Q4_0, 2},
}};

bool is_matrix(TensorRole role) {
  return role == TensorRole::Embedding || role == TensorRole::Head || role == TensorRole::Matrix;
}

bool is_whole_blocks(std::int64_t columns, DType dtype) {
  return columns % layout_of(dtype).block_size == 0;
}

// The first and the last eighth of the layers, and of the others every third.
bool gets_more_bits(int index, int count) {
  const int eighth = count / 8;
  return index < eighth || index >= 7 * count / 8 || (index - eighth) % 3 == 2;
}

DType fitting(DType dtype, std::int64_t columns) {
  if (is_whole_blocks(columns, dtype)) return dtype;
  DType smaller = DType::F16;
  if (dtype == DType::Q4_K) smaller = DType::Q5_0;
  if (dtype == DType::Q5_K) smaller = DType::Q5_1;
  if (dtype == DType::Q6_K) smaller = DType::Q8_0;
  return is_whole_blocks(columns, smaller) ? smaller : DType::F16;
}

class Chooser {
 public:
  Chooser(const FileType& type, const ModelConfig& config)
      : type_(type),
        config_(config),
        layers_(static_cast<int>(config.layers.size())),
        attention_layers_(config.count(Mixer::Attention)) {}

  DType operator()(const GgufTensor& tensor) {
    if (!is_matrix(tensor.role)) return DType::F32;
    if (!is_quantised(type_.bulk)) return type_.bulk;
    return fitting(wanted(tensor), tensor.shape.columns());
  }

 private:
  DType wanted(const GgufTensor& tensor) {
    const bool head = tensor.role == TensorRole::Head ||
                      (tensor.role == TensorRole::Embedding && config_.tied_head);
    if (head) {
      const bool whole = is_whole_blocks(tensor.shape.columns(), type_.bulk);
      return type_.bulk == DType::Q8_0 || !whole ? DType::Q8_0 : DType::Q6_K;
    }
    const bool eight_experts = config_.moe && config_.moe->experts == 8;
    if (tensor.name.ends_with(".attn_v.weight")) {
      const bool more = type_.more_bits && gets_more_bits(values_seen_++, attention_layers_);
      return eight_experts ? DType::Q8_0 : more ? DType::Q6_K : type_.bulk;
    }
    if (tensor.name.ends_with(".attn_k.weight") && eight_experts) return DType::Q8_0;
    if (tensor.name.find(".ffn_down") != std::string::npos && type_.more_bits &&
        gets_more_bits(tensor.layer, layers_))
      return DType::Q6_K;
    if (tensor.name.ends_with(".attn_output.weight") && eight_experts && type_.bulk == DType::Q4_K)
      return DType::Q5_K;
    return type_.bulk;
  }

  const FileType& type_;
  const ModelConfig& config_;
  int layers_;
  int attention_layers_;
  int values_seen_ = 0;  // attention layers so far
};

}  // namespace

std::span<const FileType> file_types() {
  return kFileTypes;
}

const FileType* find_file_type(std::string_view name) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  for (const FileType& type : kFileTypes)
    if (std::equal(name.begin(), name.end(), type.name.begin(), type.name.end(), same))
      return &type;
  return nullptr;
}

std::vector<DType> choose_types(const FileType& type, const ModelConfig& config,
                                std::span<const GgufTensor> tensors) {
  Chooser choose(type, config);
  std::vector<DType> types;
  for (const GgufTensor& tensor : tensors) types.push_back(choose(tensor));
  return types;
}

}  // namespace millrace
