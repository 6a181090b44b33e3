#include "convert/source_keys.h"

#include "model/config_gguf.h"

namespace millrace {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // of ggml's block layouts

void put_file_type(const FileType& type, GgufKeys& keys) {
  keys.put_u32("general.file_type", type.number);
  keys.put_u32("general.quantization_version", kQuantizationVersion);
}

// Keys under which llama.cpp keeps a model's recommended sampling.
void put_sampling(const GenerationDefaults& defaults, GgufKeys& keys) {
  const auto put = [&](std::string_view key, const std::optional<double>& value) {
    if (value) keys.put_f32(key, static_cast<float>(*value));
  };
  if (defaults.top_k) keys.put_i32("general.sampling.top_k", *defaults.top_k);
  put("general.sampling.top_p", defaults.top_p);
  put("general.sampling.min_p", defaults.min_p);
  put("general.sampling.temp", defaults.temperature);
  put("general.sampling.penalty_repeat", defaults.repetition_penalty);
}

void put_tokenizer(const GgufTokenizer& tokenizer, const ModelConfig& config, GgufKeys& keys) {
  keys.put_string("tokenizer.ggml.model", tokenizer.model);
  keys.put_string("tokenizer.ggml.pre", tokenizer.pre);
  keys.put_strings("tokenizer.ggml.tokens", tokenizer.tokens);
  keys.put_i32s("tokenizer.ggml.token_type", tokenizer.token_types);
  keys.put_strings("tokenizer.ggml.merges", tokenizer.merges);
  const auto put_id = [&](std::string_view key, std::optional<std::int64_t> id,
                          std::optional<std::int32_t> otherwise) {
    if (!id && otherwise) id = *otherwise;
    if (id) keys.put_u32(key, static_cast<std::uint32_t>(*id));
  };
  put_id("tokenizer.ggml.bos_token_id", tokenizer.bos_id, config.bos);
  put_id("tokenizer.ggml.eos_token_id", tokenizer.eos_id, config.eos);
  put_id("tokenizer.ggml.padding_token_id", tokenizer.padding_id, config.pad);
  if (tokenizer.add_bos) keys.put_bool("tokenizer.ggml.add_bos_token", *tokenizer.add_bos);
  if (tokenizer.add_eos) keys.put_bool("tokenizer.ggml.add_eos_token", *tokenizer.add_eos);
}

}  // namespace

Result<GgufKeys> keys_of_folder(const std::string& folder, const LoadedModel& model,
                                const FileType& type, const std::string& name,
                                std::vector<std::string>& notes) {
  GgufKeys keys;
  if (const Status status = put_config(model.config, keys); !status)
    return fail_in(folder, status.error());
  keys.put_string("general.type", "model");
  keys.put_string("general.name", name);
  put_file_type(type, keys);
  put_sampling(model.generation, keys);
  if (model.tokenizer) {
    const GgufTokenizerExport exported =
        MILLRACE_TRY(export_gguf_tokenizer(folder, static_cast<TokenId>(model.config.vocab)));
    put_tokenizer(exported.tokenizer, model.config, keys);
    for (const std::string& lost : exported.lost)
      notes.push_back(fmt::format("GGUF cannot say: {}", lost));
  } else {
    keys.put_string("tokenizer.ggml.model", "no_vocab");  // llama.cpp asks for it
    notes.push_back("no tokenizer.json: the file has no vocabulary");
  }
  if (model.chat_template)
    keys.put_string("tokenizer.chat_template", model.chat_template->source());
  else
    notes.push_back("no chat template");
  return keys;
}

GgufKeys keys_of_gguf(const GgufMetadata& metadata, const FileType& type, const std::string& name) {
  GgufKeys keys;
  const auto copy = [&](std::string_view key) {
    if (const GgufValue* value = metadata.find(key)) keys.put(key, *value);
  };
  copy("general.architecture");  // readers like to meet it first
  if (!name.empty()) keys.put_string("general.name", name);
  put_file_type(type, keys);
  for (const auto& [key, value] : metadata.values())
    if (!keys.has(key) && key != "general.alignment" && !key.starts_with("split."))
      keys.put(key, value);
  return keys;
}

}  // namespace millrace
