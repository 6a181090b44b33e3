#include "convert/gguf_plan.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "checkpoint/gguf.h"
#include "checkpoint/tensor_entry.h"
#include "convert/source_keys.h"
#include "model/config_gguf.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

// A folder's name, or the model's in a hub's cache: ".../models--ORG--NAME/snapshots/REVISION".
std::string name_of_folder(const std::string& path) {
  std::error_code ignored;
  fs::path folder = fs::weakly_canonical(path, ignored);
  if (folder.extension() == ".json") folder = folder.parent_path();
  if (folder.parent_path().filename() == "snapshots") {
    const std::string cached = folder.parent_path().parent_path().filename().string();
    if (const std::size_t dashes = cached.rfind("--"); dashes != std::string::npos)
      return cached.substr(dashes + 2);
  }
  return folder.filename().empty() ? "model" : folder.filename().string();
}

Status plan_tensors(const ModelConfig& config, const GgufPlanOptions& options, GgufPlan& plan) {
  const TensorResolver resolver = MILLRACE_TRY(TensorResolver::make(*plan.source));
  const std::vector<GgufTensor> tensors = gguf_tensors(config);
  const std::vector<DType> types = choose_types(*options.type, config, tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    PlannedTensor planned = {{tensors[i].name, tensors[i].shape, types[i]}, {}};
    for (const TensorSpec& spec : tensors[i].parts) {
      const TensorView part = MILLRACE_TRY(resolver.find(spec));
      if (is_quantised(part.dtype) && part.dtype != types[i] && !options.allow_requantize)
        return fail(ErrorCode::InvalidArgument,
                    "{}: tensor {} is {} already: making {} of it loses more than making it of the "
                    "original; --allow-requantize does it all the same",
                    plan.source->origin(), tensors[i].name, to_string(part.dtype),
                    to_string(types[i]));
      planned.parts.push_back(part);
    }
    plan.tensors.push_back(std::move(planned));
  }
  return {};
}

// Tensors of the source that no part begins with: vision towers, heads beside a tied embedding.
void note_left_out(GgufPlan& plan) {
  std::set<const void*> used;
  for (const PlannedTensor& tensor : plan.tensors)
    for (const TensorView& part : tensor.parts) used.insert(part.data);
  std::vector<std::string> left;
  for (const NamedTensor& tensor : plan.source->tensors())
    if (!used.contains(tensor.view.data)) left.push_back(tensor.name);
  for (const ForeignTensor& tensor : plan.source->foreign()) left.push_back(tensor.name);
  if (left.empty()) return;
  plan.notes.push_back(
      fmt::format("left out, no part of the text model: {}{}", printable(left[0]),
                  left.size() > 1 ? fmt::format(" and {} other tensors", left.size() - 1) : ""));
}

// Rows that are not whole blocks of 256 have become another type than asked for.
void note_replaced(const FileType& type, GgufPlan& plan) {
  if (layout_of(type.bulk).block_size == 1) return;
  std::int64_t count = 0;
  for (const PlannedTensor& tensor : plan.tensors) {
    const std::int64_t columns = tensor.info.shape.columns();
    if (tensor.info.dtype != DType::F32 && columns % layout_of(type.bulk).block_size != 0) ++count;
  }
  if (count > 0)
    plan.notes.push_back(
        fmt::format("{} tensors have rows that are no multiple of {}: they take another type than "
                    "{}",
                    count, layout_of(type.bulk).block_size, to_string(type.bulk)));
}

}  // namespace

std::int64_t GgufPlan::weights() const {
  std::int64_t sum = 0;
  for (const PlannedTensor& tensor : tensors) sum += tensor.info.shape.elements();
  return sum;
}

std::int64_t GgufPlan::source_bytes() const {
  std::int64_t sum = 0;
  for (const PlannedTensor& tensor : tensors)
    for (const TensorView& part : tensor.parts) sum += part.bytes();
  return sum;
}

std::int64_t GgufPlan::bytes() const {
  std::int64_t sum = 0;
  for (const PlannedTensor& tensor : tensors) sum += tensor.info.bytes();
  return sum;
}

Result<GgufPlan> plan_gguf(const std::string& path, const GgufPlanOptions& options) {
  GgufPlan plan;
  ModelConfig config;
  const bool made_up = options.load.format != LoadFormat::Auto;
  const bool is_gguf = fs::path(path).extension() == ".gguf";
  if (made_up && is_gguf)
    return fail(ErrorCode::InvalidArgument,
                "{}: found a GGUF file, expected a config.json, a folder or a known name to make "
                "random weights for",
                path);
  if (is_gguf) {
    GgufModel model = MILLRACE_TRY(open_gguf(path));
    config = MILLRACE_TRY(config_from_gguf(model));
    plan.source = std::move(model.checkpoint);
    MILLRACE_TRY(plan_tensors(config, options, plan));
    plan.keys = keys_of_gguf(model.metadata, *options.type, options.name);
  } else {
    LoadedModel model =
        MILLRACE_TRY(made_up ? load_model(path, options.load) : describe_model(path, {}));
    if (!model.checkpoint)
      return fail(ErrorCode::NotFound, "{}: no weights (model.safetensors) in this folder", path);
    config = model.config;
    plan.source = model.checkpoint;
    // First: shapes that are there bound what a config may claim.
    MILLRACE_TRY(plan_tensors(config, options, plan));
    plan.keys = MILLRACE_TRY(
        keys_of_folder(path, model, *options.type,
                       options.name.empty() ? name_of_folder(path) : options.name, plan.notes));
  }
  if (made_up) plan.notes.push_back("random weights: for measuring speed");
  note_left_out(plan);
  note_replaced(*options.type, plan);
  if (config.conv_bias)
    plan.notes.push_back("convolutions have biases: llama.cpp does not load such a file");
  if (config.moe && !config.moe->use_bias)
    plan.notes.push_back("routers have no biases: llama.cpp may not load such a file");
  return plan;
}

std::vector<TypeShare> shares_of_types(const GgufPlan& plan) {
  std::vector<TypeShare> shares;
  for (const PlannedTensor& tensor : plan.tensors) {
    auto share = std::find_if(shares.begin(), shares.end(), [&](const TypeShare& known) {
      return known.dtype == tensor.info.dtype;
    });
    if (share == shares.end()) share = shares.insert(share, TypeShare{tensor.info.dtype});
    ++share->tensors;
    share->weights += tensor.info.shape.elements();
    share->bytes += tensor.info.bytes();
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const TypeShare& a, const TypeShare& b) { return a.bytes > b.bytes; });
  return shares;
}

}  // namespace millrace
