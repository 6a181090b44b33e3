// Where a model's folder keeps its chat template and the texts of its special tokens.
#include <filesystem>

#include "base/json.h"
#include "base/mapped_file.h"
#include "text/chat_template.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxConfigBytes = 64u << 20;
constexpr std::size_t kMaxNamedTemplates = 100;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

Result<std::string> read_template(const fs::path& path) {
  const MappedFile file = MILLRACE_TRY(MappedFile::open(path.string()));
  const std::size_t limit = JinjaLimits().template_bytes;
  if (file.size() > limit)
    return fail(ErrorCode::TooLarge, "{}: a template of {} bytes, the limit is {}", path.string(),
                file.size(), limit);
  return std::string(file.text());
}

// A token is a text, or an object with the text as its content.
void add_token(SpecialTokens& tokens, const std::string& name, const Json& value) {
  const Json* text = value.is_object() ? json_find(value, "content") : &value;
  if (text && text->is_string()) tokens[name] = text->get<std::string>();
}

SpecialTokens special_tokens_of(const Json& config) {
  SpecialTokens tokens;
  if (!config.is_object()) return tokens;
  // bos_token, eos_token, ... and whatever else the model calls so.
  for (const auto& [name, value] : config.items())
    if (name.ends_with("_token")) add_token(tokens, name, value);
  // Tokens that only this model has, by name.
  for (const std::string_view group : {"extra_special_tokens", "model_specific_special_tokens"}) {
    const Json* named = json_find(config, group);
    if (!named || !named->is_object()) continue;
    for (const auto& [name, value] : named->items()) add_token(tokens, name, value);
  }
  return tokens;
}

using Sources = std::map<std::string, std::string>;

Result<Sources> sources_in_files(const fs::path& folder) {
  Sources sources;
  if (const fs::path main = folder / "chat_template.jinja"; is_file(main))
    sources["default"] = MILLRACE_TRY(read_template(main));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "additional_chat_templates", error)) {
    if (entry.path().extension() != ".jinja" || !is_file(entry.path())) continue;
    if (sources.size() == kMaxNamedTemplates)
      return fail(ErrorCode::TooLarge, "{}: more than {} chat templates", folder.string(),
                  kMaxNamedTemplates);
    sources[entry.path().stem().string()] = MILLRACE_TRY(read_template(entry.path()));
  }
  return sources;
}

Result<Sources> sources_in_config(const Json& config) {
  Sources sources;
  const Json* value = json_find(config, "chat_template");
  if (!value) return sources;
  if (value->is_string()) {
    sources["default"] = value->get<std::string>();
    return sources;
  }
  if (!value->is_array() || value->size() > kMaxNamedTemplates)
    return fail(ErrorCode::Corrupt,
                "chat_template: found {} of size {}, expected a text or a list of at most {} "
                "templates",
                json_type_name(*value), value->size(), kMaxNamedTemplates);
  for (const Json& entry : *value) {
    const auto name = MILLRACE_TRY(json_string(entry, "name"));
    const auto source = MILLRACE_TRY(json_string(entry, "template"));
    if (!name || !source)
      return fail(ErrorCode::Corrupt,
                  "chat_template[{}]: expected an object with name and template", sources.size());
    sources[*name] = *source;
  }
  return sources;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::from_folder(const std::string& folder) {
  const fs::path config_path = fs::path(folder) / "tokenizer_config.json";
  Json config = Json::object();
  if (is_file(config_path))
    config = MILLRACE_TRY(read_json_file(config_path.string(), kMaxConfigBytes));
  std::string origin = (fs::path(folder) / "chat_template.jinja").string();
  Sources sources = MILLRACE_TRY(sources_in_files(folder));
  if (sources.empty()) {
    origin = config_path.string();
    auto in_config = sources_in_config(config);
    if (!in_config) return fail_in(origin, in_config.error());
    sources = std::move(*in_config);
  }
  if (sources.empty())
    return fail(ErrorCode::NotFound,
                "{}: has no chat template (chat_template.jinja, or chat_template in "
                "tokenizer_config.json)",
                folder);
  return from_named(sources, origin, special_tokens_of(config));
}

}  // namespace millrace
