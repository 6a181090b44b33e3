// `millrace logits`: every position's logits, so that anyone can compare with any reference.
#include <fmt/format.h>

#include <fstream>

#include "base/json.h"
#include "base/progress.h"
#include "checkpoint/safetensors.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "engine/parts.h"

namespace millrace::cli {
namespace {

struct LogitsOptions {
  ModelOptions model;
  std::string tokens;
  std::string out;
  std::int64_t chunk = 128;
};

// A JSON list, {"tokens": [...]}, or ids between spaces, commas or line ends.
Result<std::vector<TokenId>> read_tokens(const std::string& path, std::int64_t vocab) {
  const MappedFile file = MILLRACE_TRY(MappedFile::open(path));
  std::string text(file.text());
  if (text.find_first_of("[{") == std::string::npos) {
    for (char& c : text)
      if (c == '\n' || c == '\r' || c == '\t' || c == ',') c = ' ';
    while (text.ends_with(' ')) text.pop_back();
    text.erase(0, text.find_first_not_of(' '));
    std::string list = "[";
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != ' ')
        list += text[i];
      else if (text[i - 1] != ' ')
        list += ',';
    }
    text = list + "]";
  }
  const Json json = MILLRACE_TRY(parse_json(text, path));
  const Json* ids = json.is_array() ? &json : json_find(json, "tokens");
  if (ids == nullptr || !ids->is_array() || ids->empty())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected a list of token ids", path,
                json_type_name(json));
  std::vector<TokenId> tokens;
  for (const Json& id : *ids) {
    if (!id.is_number_integer() || id < 0 || id >= vocab)
      return fail(ErrorCode::InvalidArgument, "{}: token {}: found {}, expected 0 to {}", path,
                  tokens.size(), id.dump(), vocab - 1);
    tokens.push_back(id.get<TokenId>());
  }
  return tokens;
}

Status write_logits(const LogitsOptions& options) {
  EngineOptions engine = MILLRACE_TRY(options.model.resolve());
  LoadedModel files = MILLRACE_TRY(load_model(engine.model, engine.load));
  const std::int64_t vocab = files.config.vocab;
  const std::vector<TokenId> tokens = MILLRACE_TRY(read_tokens(options.tokens, vocab));
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (engine.context == 0) engine.context = std::min(count, files.config.max_position);
  if (count > engine.context)
    return fail(ErrorCode::TooLarge, "{}: {} tokens, the context holds {}", options.tokens, count,
                engine.context);
  engine.max_sequences = 1;
  engine.step_budget = std::min(options.chunk, count);
  const std::unique_ptr<EngineParts> parts = MILLRACE_TRY(make_parts(std::move(files), engine));
  // The workspace of an engine gives one row of logits a sequence; here every row is wanted.
  RunnerLimits limits = parts->sizes.limits;
  limits.max_logit_rows = limits.max_rows;
  parts->runner.emplace(*parts->model, *parts->device, *parts->cache, limits);

  std::optional<SequenceMemory> memory = SequenceMemory::open(*parts->cache, engine.context);
  if (!memory || !memory->reserve(count))
    return fail(ErrorCode::TooLarge, "no room for {} tokens in the cache", count);
  Buffer all(static_cast<std::size_t>(bytes_of(DType::F32, count * vocab)));
  Progress progress("computing logits", static_cast<std::uint64_t>(count), Progress::Unit::Items);
  for (std::int64_t first = 0; first < count; first += limits.max_rows) {
    const std::int64_t rows = std::min(limits.max_rows, count - first);
    const StepSpan span = {
        &*memory,
        std::span(tokens).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows)),
        SpanKind::Prefill, Logits::All};
    parts->runner->run({&span, 1});
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::span<float> logits = parts->runner->logits(row);
      std::copy(logits.begin(), logits.end(), all.as<float>() + (first + row) * vocab);
    }
    progress.advance(static_cast<std::uint64_t>(rows));
  }
  Buffer ids(tokens.size() * sizeof(TokenId));
  std::copy(tokens.begin(), tokens.end(), ids.as<TokenId>());
  const std::vector<NamedTensor> tensors = {
      {"logits", {all.as<void>(), DType::F32, {count, vocab}}},
      {"tokens", {ids.as<void>(), DType::I32, {count}}}};
  MILLRACE_TRY(write_safetensors(options.out, tensors, {{"model", engine.model}}));
  fmt::print("{}: logits [{}, {}]\n", options.out, count, vocab);
  return {};
}

}  // namespace

Command add_logits(CLI::App& app) {
  auto options = std::make_shared<LogitsOptions>();
  CLI::App* logits_app = app.add_subcommand(
      "logits", "Write every position's logits in f32, to compare with any reference");
  options->model.accuracy = "exact";  // what is compared should not be rounded on the way
  options->model.add_to(*logits_app);
  logits_app->add_option("--tokens", options->tokens, "File of token ids: a JSON list, or numbers")
      ->required();
  logits_app->add_option("--out", options->out, "Safetensors file to write")->required();
  logits_app->add_option("--chunk", options->chunk, "Tokens a step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  return {logits_app, [=] { return write_logits(*options); }};
}

}  // namespace millrace::cli
