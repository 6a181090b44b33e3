// `millrace inspect`: what a model is and what it needs, from its config or files, without loading.
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include "base/json.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "device/cpu/cpu_device.h"
#include "engine/parts.h"
#include "model/tensor_names.h"
#include "ops/linear/linear.h"
#include "ops/packed_linear/packed_linear.h"
#include "ops/packed_linear/packing.h"

namespace millrace::cli {
namespace {

// A tensor of a file, or one that the config asks for.
struct ListedTensor {
  std::string name;
  std::string dtype;  // empty where there is no file
  Shape shape;
};

std::vector<ListedTensor> list_tensors(const LoadedModel& files) {
  std::vector<ListedTensor> list;
  if (files.checkpoint)
    for (const NamedTensor& tensor : files.checkpoint->tensors())
      list.push_back({tensor.name, std::string(to_string(tensor.view.dtype)), tensor.view.shape});
  else
    for (const TensorSpec& spec : tensor_specs(files.config))
      list.push_back({spec.name, "", spec.shape});
  return list;
}

// Bytes that a CPU which packs its weights keeps twice: a tied head, for the embedding looks its
// rows up as they are stored.
Result<std::int64_t> kept_twice(const LoadedModel& files, const EngineOptions& options) {
  const ModelConfig& config = files.config;
  if (!config.tied_head || options.accuracy == Accuracy::Exact ||
      options.kernels.contains(Linear::kName))
    return 0;
  DType dtype = options.load.dummy_dtype.value_or(config.dtype);
  if (files.checkpoint) {
    const TensorResolver names = MILLRACE_TRY(TensorResolver::make(*files.checkpoint));
    dtype = MILLRACE_TRY(names.find(tensor_specs(config).front())).dtype;
  }
  if (!can_pack(dtype)) return 0;
  const PackedLinear::Key key = {dtype, DType::F32, config.vocab, config.hidden};
  const auto choice =
      choose_kernel<PackedLinear>(key, make_cpu_device(1)->traits(), options.kernels);
  if (!choice || choice->spec->priority == Priority::Reference) return 0;
  return packed_bytes(dtype, config.vocab, config.hidden);
}

struct InspectOptions {
  ModelOptions model;
  bool tensors = false;
  bool json = false;
};

// Memory that a new program could use without swapping.
std::int64_t available_bytes() {
  std::ifstream info("/proc/meminfo");
  for (std::string key; info >> key;) {
    std::int64_t kib = 0;
    info >> kib;
    if (key == "MemAvailable:") return kib * 1024;
    info.ignore(64, '\n');
  }
  return 0;
}

std::string layer_pattern(const ModelConfig& config) {
  std::string pattern;
  for (const LayerConfig& layer : config.layers) pattern += layer.mixer == Mixer::Conv ? 'c' : 'A';
  return pattern;
}

Status inspect(const InspectOptions& options) {
  const EngineOptions engine = MILLRACE_TRY(options.model.resolve());
  const LoadedModel files = MILLRACE_TRY(describe_model(engine.model, engine.load));
  const ModelConfig& config = files.config;
  const EngineSizes sizes = MILLRACE_TRY(engine_sizes(config, engine));
  const CacheGeometry geometry = config.cache_geometry(sizes.kv_dtype, sizes.draft_columns);
  const std::int64_t weight_bytes =
      MILLRACE_TRY(text_weight_bytes(files, engine.load)) + MILLRACE_TRY(kept_twice(files, engine));
  const MemoryPlan plan = plan_memory(config, weight_bytes, sizes);
  const std::int64_t available = available_bytes();
  const bool fits = plan.total() <= available;

  if (options.json) {
    Json out = {{"model", engine.model},
                {"model_type", config.model_type},
                {"parameters", parameter_count(config)},
                {"hidden", config.hidden},
                {"layers", config.layers.size()},
                {"conv_layers", config.count(Mixer::Conv)},
                {"attention_layers", config.count(Mixer::Attention)},
                {"heads", config.heads},
                {"kv_heads", config.kv_heads},
                {"head_dim", config.head_dim},
                {"ffn_width", config.ffn_width},
                {"experts", config.moe ? config.moe->experts : 0},
                {"experts_per_token", config.moe ? config.moe->top_k : 0},
                {"vocab", config.vocab},
                {"max_position", config.max_position},
                {"kv_bytes_per_token", geometry.kv_bytes_per_token()},
                {"conv_state_bytes", geometry.conv_bytes_per_sequence()},
                {"replay_tokens", geometry.replay_tokens()},
                {"context", sizes.context},
                {"memory",
                 {{"weights_bytes", plan.weights},
                  {"kv_bytes", plan.kv},
                  {"conv_bytes", plan.conv},
                  {"workspace_bytes", plan.workspace},
                  {"tables_bytes", plan.tables},
                  {"total_bytes", plan.total()}}},
                {"available_bytes", available},
                {"fits", fits}};
    if (options.tensors) {
      Json& list = out["tensors"] = Json::array();
      for (const ListedTensor& tensor : list_tensors(files)) {
        Json shape = Json::array();
        for (int i = 0; i < tensor.shape.rank(); ++i) shape.push_back(tensor.shape[i]);
        list.push_back({{"name", tensor.name}, {"shape", std::move(shape)}});
        if (!tensor.dtype.empty()) list.back()["dtype"] = tensor.dtype;
      }
    }
    fmt::print("{}\n", out.dump(2));
    return {};
  }

  fmt::print("{}\n", engine.model);
  fmt::print("  type           {}{}\n", config.model_type,
             config.has_vision ? " (text part of a vision-language model)" : "");
  fmt::print("  parameters     {} ({})\n",
             format_count(static_cast<std::uint64_t>(parameter_count(config))),
             parameter_count(config));
  fmt::print("  layers         {}: {} short conv (K={}), {} attention   {}\n", config.layers.size(),
             config.count(Mixer::Conv), config.taps, config.count(Mixer::Attention),
             layer_pattern(config));
  fmt::print("  width          hidden {}, FFN {}, vocabulary {}\n", config.hidden, config.ffn_width,
             config.vocab);
  if (config.moe)
    fmt::print("  experts        {} of {}, {} wide\n", config.moe->top_k, config.moe->experts,
               config.moe->width);
  fmt::print("  attention      {} heads over {} KV heads of {}, rope theta {:g}\n", config.heads,
             config.kv_heads, config.head_dim, config.rope_theta);
  fmt::print("  a token's KV   {} ({})\n",
             format_bytes(static_cast<std::uint64_t>(geometry.kv_bytes_per_token())),
             to_string(sizes.kv_dtype));
  fmt::print("  conv state     {} a conversation, whatever its length\n",
             format_bytes(static_cast<std::uint64_t>(geometry.conv_bytes_per_sequence())));
  fmt::print("  resume         any token, by replaying {} tokens at most\n",
             geometry.replay_tokens());
  fmt::print("Memory for {} tokens of context, {} conversations\n", sizes.context, sizes.slots);
  const auto row = [](const char* name, std::int64_t bytes) {
    fmt::print("  {:<14} {:>10}\n", name, format_bytes(static_cast<std::uint64_t>(bytes)));
  };
  row("weights", plan.weights);
  row("KV cache", plan.kv);
  row("conv states", plan.conv);
  row("workspace", plan.workspace);
  row("rope tables", plan.tables);
  row("in all", plan.total());
  fmt::print("  {:<14} {:>10}: {}\n", "available",
             format_bytes(static_cast<std::uint64_t>(available)),
             fits ? "it fits" : "it does NOT fit; a smaller --context or a quantised file helps");
  if (!options.tensors) return {};
  fmt::print("Tensors\n");
  for (const ListedTensor& tensor : list_tensors(files))
    fmt::print("  {:<60} {:<5} {}\n", tensor.name, tensor.dtype, to_string(tensor.shape));
  return {};
}

}  // namespace

Command add_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* inspect_app = app.add_subcommand(
      "inspect", "Shapes, sizes, KV bytes per token, conv state, and whether it fits");
  options->model.config_is_enough = true;
  options->model.add_to(*inspect_app);
  inspect_app->add_flag("--tensors", options->tensors, "List every tensor");
  inspect_app->add_flag("--json", options->json, "Print JSON");
  return {inspect_app, [=] { return inspect(*options); }};
}

}  // namespace millrace::cli
