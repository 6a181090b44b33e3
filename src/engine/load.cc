#include "engine/load.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/json.h"
#include "base/progress.h"
#include "checkpoint/dummy.h"
#include "checkpoint/gguf.h"
#include "checkpoint/safetensors.h"
#include "model/config_gguf.h"
#include "model/known_configs.h"
#include "model/tensor_names.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Result<GenerationDefaults> read_generation(const fs::path& path, const ModelConfig& config) {
  GenerationDefaults defaults;
  if (!is_there(path)) return defaults;
  const std::string origin = path.string();
  const Json json = MILLRACE_TRY(read_json_file(origin, 1u << 20));
  const auto number = [&](const char* key) -> Result<std::optional<double>> {
    auto value = json_number(json, key);
    if (!value) return fail_in(origin, value.error());
    return *value;
  };
  defaults.temperature = MILLRACE_TRY(number("temperature"));
  defaults.top_p = MILLRACE_TRY(number("top_p"));
  defaults.min_p = MILLRACE_TRY(number("min_p"));
  defaults.repetition_penalty = MILLRACE_TRY(number("repetition_penalty"));
  if (const auto top_k = json_int(json, "top_k", 0, 1 << 30); !top_k)
    return fail_in(origin, top_k.error());
  else if (*top_k)
    defaults.top_k = static_cast<int>(**top_k);
  // do_sample false means greedy, whatever else the file holds.
  const auto samples = json_bool(json, "do_sample");
  if (!samples) return fail_in(origin, samples.error());
  if (*samples == false) defaults.temperature = 0;
  if (const Json* eos = json_find(json, "eos_token_id")) {
    const Json list = eos->is_array() ? *eos : Json::array({*eos});
    for (const Json& token : list) {
      if (!token.is_number_integer() || token < 0 || token >= config.vocab)
        return fail(ErrorCode::Corrupt, "{}: eos_token_id: found {}, expected a token from 0 to {}",
                    origin, token.dump(-1, ' ', false, Json::error_handler_t::replace),
                    config.vocab - 1);
      defaults.eos.push_back(token.get<TokenId>());
    }
  }
  return defaults;
}

// Every token that ends a turn, whatever the files forget: generation_config.json's, config.json's,
// and the two that all LFM2 vocabularies share by name.
void complete_eos(LoadedModel& model) {
  const auto add = [&](std::optional<TokenId> token) {
    auto& eos = model.generation.eos;
    if (token && *token < model.config.vocab &&
        std::find(eos.begin(), eos.end(), *token) == eos.end())
      eos.push_back(*token);
  };
  add(model.config.eos);
  if (!model.tokenizer) return;
  add(model.tokenizer->id_of("<|im_end|>"));
  add(model.tokenizer->id_of("<|endoftext|>"));
}

Status load_text(LoadedModel& model, const fs::path& folder) {
  if (is_there(folder / "tokenizer.json"))
    model.tokenizer = MILLRACE_TRY(Tokenizer::from_folder(folder.string()));
  if (is_there(folder / "chat_template.jinja") || is_there(folder / "tokenizer_config.json")) {
    auto found = ChatTemplate::from_folder(folder.string());
    if (found)
      model.chat_template = std::move(*found);
    else if (found.error().code != ErrorCode::NotFound)
      return tl::unexpected(found.error());
  }
  return {};
}

// The tokenizer's part of the metadata; nothing where a file has no vocabulary.
Result<std::optional<GgufTokenizer>> gguf_tokenizer(const GgufMetadata& metadata) {
  auto tokens = MILLRACE_TRY(metadata.strings("tokenizer.ggml.tokens"));
  if (!tokens) return std::nullopt;
  GgufTokenizer out;
  out.model = MILLRACE_TRY(metadata.string("tokenizer.ggml.model")).value_or("");
  out.pre = MILLRACE_TRY(metadata.string("tokenizer.ggml.pre")).value_or("");
  out.tokens = std::move(*tokens);
  for (const std::int64_t type :
       MILLRACE_TRY(metadata.integers("tokenizer.ggml.token_type", 0, 100))
           .value_or(std::vector<std::int64_t>()))
    out.token_types.push_back(static_cast<std::int32_t>(type));
  out.merges =
      MILLRACE_TRY(metadata.strings("tokenizer.ggml.merges")).value_or(std::vector<std::string>());
  out.bos_id = MILLRACE_TRY(metadata.integer("tokenizer.ggml.bos_token_id"));
  out.eos_id = MILLRACE_TRY(metadata.integer("tokenizer.ggml.eos_token_id"));
  out.padding_id = MILLRACE_TRY(metadata.integer("tokenizer.ggml.padding_token_id"));
  out.add_bos = MILLRACE_TRY(metadata.boolean("tokenizer.ggml.add_bos_token"));
  out.add_eos = MILLRACE_TRY(metadata.boolean("tokenizer.ggml.add_eos_token"));
  return out;
}

// llama.cpp's keys for what generation_config.json recommends.
Result<GenerationDefaults> gguf_generation(const GgufMetadata& metadata) {
  GenerationDefaults defaults;
  defaults.temperature = MILLRACE_TRY(metadata.number("general.sampling.temp"));
  defaults.top_p = MILLRACE_TRY(metadata.number("general.sampling.top_p"));
  defaults.min_p = MILLRACE_TRY(metadata.number("general.sampling.min_p"));
  defaults.repetition_penalty = MILLRACE_TRY(metadata.number("general.sampling.penalty_repeat"));
  if (const auto top_k = MILLRACE_TRY(metadata.integer("general.sampling.top_k", 0, 1 << 30)))
    defaults.top_k = static_cast<int>(*top_k);
  return defaults;
}

Status load_gguf_text(LoadedModel& model, const GgufMetadata& metadata) {
  const auto tokenizer = MILLRACE_TRY(gguf_tokenizer(metadata));
  if (tokenizer)
    model.tokenizer = MILLRACE_TRY(Tokenizer::from_gguf(*tokenizer, metadata.origin()));
  if (const auto source = MILLRACE_TRY(metadata.string("tokenizer.chat_template"))) {
    SpecialTokens special;
    const auto name = [&](const char* variable, std::optional<TokenId> token) {
      if (token) special[variable] = model.tokenizer->token_text(*token);
    };
    if (model.tokenizer) {
      name("bos_token", model.tokenizer->bos());
      name("eos_token", model.tokenizer->eos());
      name("pad_token", model.tokenizer->pad());
    }
    model.chat_template = MILLRACE_TRY(ChatTemplate::parse(*source, metadata.origin(), special));
  }
  return {};
}

std::vector<DummyTensor> dummy_tensors(const ModelConfig& config, const LoadOptions& options) {
  const DType matrix = options.dummy_dtype.value_or(config.dtype);
  std::vector<DummyTensor> tensors;
  for (TensorSpec& spec : tensor_specs(config)) {
    DummyTensor tensor = {"model." + spec.name, spec.shape, config.dtype, 0, 0};
    switch (spec.role) {
      case TensorRole::Norm:
        tensor.mean = 1;
        tensor.deviation = 0.05;
        break;
      case TensorRole::ConvKernel:
        tensor.deviation = 0.5;
        break;
      case TensorRole::Bias:
        tensor.deviation = 0.02;
        break;
      case TensorRole::ExpertBias:
        tensor.dtype = DType::F32;
        tensor.deviation = 0.02;
        break;
      // 1/sqrt(in) keeps activations at their size from layer to layer.
      case TensorRole::Router:
        tensor.deviation = 1.0 / std::sqrt(static_cast<double>(spec.shape.columns()));
        break;
      case TensorRole::Embedding:
      case TensorRole::Head:
      case TensorRole::Matrix:
        tensor.deviation = 1.0 / std::sqrt(static_cast<double>(spec.shape.columns()));
        if (spec.shape.columns() % layout_of(matrix).block_size == 0) tensor.dtype = matrix;
        break;
    }
    if (spec.role == TensorRole::Head) tensor.name = spec.name;
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

// Everything but the weights of a folder or file; `gguf` is set when the path is one.
Result<LoadedModel> load_all_but_weights(const std::string& path, const LoadOptions& options,
                                         std::shared_ptr<const Checkpoint>& gguf) {
  LoadedModel model;
  model.path = path;
  const fs::path given(path);
  const bool made_up = options.format != LoadFormat::Auto;
  if (!is_there(given)) {
    const KnownConfig* known = made_up ? find_known_config(path) : nullptr;
    if (known == nullptr) return fail(ErrorCode::NotFound, "{}: no such file or folder", path);
    const Json json = MILLRACE_TRY(parse_json(known->json, path));
    model.config = MILLRACE_TRY(parse_model_config(json, path));
    complete_eos(model);
    return model;
  }
  std::error_code ignored;
  const bool is_folder = fs::is_directory(given, ignored);
  if (!is_folder && given.extension() == ".gguf") {
    GgufModel file = MILLRACE_TRY(open_gguf(path));
    model.config = MILLRACE_TRY(config_from_gguf(file));
    MILLRACE_TRY(load_gguf_text(model, file.metadata));
    model.generation = MILLRACE_TRY(gguf_generation(file.metadata));
    complete_eos(model);
    gguf = std::move(file.checkpoint);
    return model;
  }
  if (!is_folder && (given.extension() != ".json" || !made_up))
    return fail(ErrorCode::InvalidArgument,
                "{}: found a {} file, expected a folder, a .gguf file, or with --load-format dummy "
                "a config.json",
                path, given.has_extension() ? given.extension().string() : "plain");
  const fs::path folder = is_folder ? given : given.parent_path();
  const fs::path config_path = is_folder ? given / "config.json" : given;
  if (!is_there(config_path))
    return fail(ErrorCode::NotFound, "{}: no config.json in this folder", path);
  const Json json = MILLRACE_TRY(read_json_file(config_path.string(), 16u << 20));
  model.config = MILLRACE_TRY(parse_model_config(json, config_path.string()));
  // A lone config.json may lie among others'; only a folder's text files are surely its own.
  if (is_folder) {
    MILLRACE_TRY(load_text(model, folder));
    model.generation =
        MILLRACE_TRY(read_generation(folder / "generation_config.json", model.config));
  }
  complete_eos(model);
  return model;
}

}  // namespace

SamplingParams recommended_sampling(const GenerationDefaults& model) {
  const bool silent = !model.temperature && !model.min_p && !model.top_p && !model.top_k;
  SamplingParams params;
  params.temperature = model.temperature.value_or(0.3);
  params.min_p = model.min_p.value_or(silent ? 0.15 : 0);
  params.top_p = model.top_p.value_or(1);
  params.top_k = model.top_k.value_or(0);
  params.repetition_penalty = model.repetition_penalty.value_or(silent ? 1.05 : 1);
  return params;
}

std::vector<TokenId> turn_ends(const LoadedModel& model) {
  if (!model.generation.eos.empty() || !model.config.eos) return model.generation.eos;
  return {*model.config.eos};
}

Result<LoadedModel> load_model(const std::string& path, const LoadOptions& options) {
  std::shared_ptr<const Checkpoint> gguf;
  LoadedModel model = MILLRACE_TRY(load_all_but_weights(path, options, gguf));
  if (options.format == LoadFormat::Dummy) {
    model.checkpoint = MILLRACE_TRY(make_dummy_checkpoint(
        path + " (dummy weights)", dummy_tensors(model.config, options), options.dummy_seed));
    model.config.dtype = options.dummy_dtype.value_or(model.config.dtype);
  } else if (options.format == LoadFormat::Outline) {
    model.checkpoint = MILLRACE_TRY(
        make_outline_checkpoint(path + " (no weights)", dummy_tensors(model.config, options)));
    model.config.dtype = options.dummy_dtype.value_or(model.config.dtype);
  } else if (gguf) {
    model.checkpoint = std::move(gguf);
  } else {
    model.checkpoint = MILLRACE_TRY(open_safetensors_folder(path));
  }
  return model;
}

Result<LoadedModel> describe_model(const std::string& path, const LoadOptions& options) {
  std::shared_ptr<const Checkpoint> gguf;
  LoadedModel model = MILLRACE_TRY(load_all_but_weights(path, options, gguf));
  if (options.format != LoadFormat::Auto) return model;
  if (gguf)
    model.checkpoint = std::move(gguf);
  else if (auto opened = open_safetensors_folder(path))
    model.checkpoint = std::move(*opened);
  else if (opened.error().code != ErrorCode::NotFound)
    return tl::unexpected(opened.error());
  return model;
}

Result<std::int64_t> text_weight_bytes(const LoadedModel& model, const LoadOptions& options) {
  std::int64_t bytes = 0;
  if (!model.checkpoint) {
    for (const DummyTensor& tensor : dummy_tensors(model.config, options))
      bytes += bytes_of(tensor.dtype, tensor.shape.elements());
    return bytes;
  }
  const TensorResolver resolver = MILLRACE_TRY(TensorResolver::make(*model.checkpoint));
  for (const TensorSpec& spec : tensor_specs(model.config))
    bytes += MILLRACE_TRY(resolver.find(spec)).bytes();
  return bytes;
}

}  // namespace millrace
