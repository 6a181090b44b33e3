// What a GGUF file made of a model will hold, before any of it is written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_writer.h"
#include "convert/file_type.h"
#include "engine/load.h"

namespace millrace {

struct PlannedTensor {
  GgufTensorInfo info;
  std::vector<TensorView> parts;  // whose rows, one part after the other, become its rows
};

struct GgufPlan {
  std::shared_ptr<const Checkpoint> source;  // owns what the parts point to
  GgufKeys keys;
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> notes;  // what a user should know, a line each

  std::int64_t weights() const;
  std::int64_t source_bytes() const;  // of the parts, as stored
  std::int64_t bytes() const;         // of the tensors, as they will be
};

struct GgufPlanOptions {
  const FileType* type = nullptr;
  std::string name;               // general.name; empty: the GGUF file's own, or the folder's
  bool allow_requantize = false;  // from one quantised type to another, at the price of both
  LoadOptions load;               // of a folder: random weights instead of its own
};

// `path` is a folder in Hugging Face layout or a GGUF file, or what load_model() makes weights for,
// which is no GGUF file. Of a vision-language model the text model alone.
Result<GgufPlan> plan_gguf(const std::string& path, const GgufPlanOptions& options);

// Tensors, weights and bytes of one type.
struct TypeShare {
  DType dtype;
  std::int64_t tensors = 0;
  std::int64_t weights = 0;
  std::int64_t bytes = 0;
};
// Those with the most bytes first.
std::vector<TypeShare> shares_of_types(const GgufPlan& plan);

}  // namespace millrace
