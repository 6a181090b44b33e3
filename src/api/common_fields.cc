#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "api/answer_shape.h"
#include "api/generation_spec.h"
#include "base/json.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostStops = 32;
constexpr std::size_t kMostStopBytes = 1024;
constexpr std::size_t kMostBiases = 4096;
constexpr std::size_t kMostSaltBytes = 1024;
constexpr int kMostPromptLogprobs = 20;
// Log probabilities in one response: of a prompt of 49,000 tokens with the 20 likeliest each.
constexpr std::int64_t kMostPromptEntries = 1 << 20;

void read_stops(BodyReader& reader, Request& request) {
  const Json* stop = reader.any("stop");
  if (!stop) return;
  Json one = Json::array({*stop});
  const Json& stops = stop->is_array() ? *stop : one;
  if (stops.size() > kMostStops)
    return reader.fail("stop",
                       fmt::format("found {} entries, the limit is {}", stops.size(), kMostStops));
  for (const Json& text : stops) {
    if (!text.is_string())
      return reader.fail("stop", fmt::format("found {}, expected a string or a list of strings",
                                             json_type_name(text)));
    const auto& value = text.get_ref<const std::string&>();
    if (value.empty() || value.size() > kMostStopBytes)
      return reader.fail("stop", fmt::format("found a string of {} bytes, expected 1 to {}",
                                             value.size(), kMostStopBytes));
    request.stop.push_back(value);
  }
}

void read_logit_bias(BodyReader& reader, const ServedModel& model, SamplingParams& sampling) {
  const Json* biases = reader.object("logit_bias");
  if (!biases) return;
  if (biases->size() > kMostBiases)
    return reader.fail("logit_bias", fmt::format("found {} entries, the limit is {}",
                                                 biases->size(), kMostBiases));
  for (const auto& [key, value] : biases->items()) {
    TokenId token = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (error != std::errc() || end != key.data() + key.size() || token < 0 ||
        token >= model.files.config.vocab)
      return reader.fail("logit_bias", fmt::format("found '{}', expected a token id below {}",
                                                   key.substr(0, 40), model.files.config.vocab));
    if (!value.is_number() || !(std::abs(value.get<double>()) <= 100))
      return reader.fail("logit_bias", "expected numbers from -100 to 100");
    sampling.logit_bias.emplace_back(token, value.get<float>());
  }
}

void read_sampling(BodyReader& reader, const ServedModel& model, SamplingParams& sampling) {
  sampling = model.sampling;
  const auto take = [](auto& to, const auto& found) {
    if (found) to = static_cast<std::remove_reference_t<decltype(to)>>(*found);
  };
  take(sampling.temperature, reader.number("temperature", 0, 100));
  if (const auto top_p = reader.number("top_p", 0, 1)) {
    if (*top_p == 0) return reader.fail("top_p", "found 0, expected a number over 0");
    sampling.top_p = *top_p;
  }
  if (const auto top_k = reader.integer("top_k", -1, 1 << 30))
    sampling.top_k = static_cast<int>(std::max<std::int64_t>(0, *top_k));
  take(sampling.min_p, reader.number("min_p", 0, 1));
  take(sampling.repetition_penalty, reader.number("repetition_penalty", 1e-3, 1e3));
  take(sampling.presence_penalty, reader.number("presence_penalty", -2, 2));
  take(sampling.frequency_penalty, reader.number("frequency_penalty", -2, 2));
  if (const auto seed = reader.integer("seed", INT64_MIN, INT64_MAX))
    sampling.seed = static_cast<std::uint64_t>(*seed);
  read_logit_bias(reader, model, sampling);
}

}  // namespace

std::shared_ptr<const GrammarCompiler> grammars_of(const LoadedModel& files) {
  if (!files.tokenizer) return nullptr;
  return std::make_shared<const GrammarCompiler>(*files.tokenizer, files.config.vocab,
                                                 turn_ends(files));
}

void read_model(BodyReader& reader, const ServedModel& model) {
  const auto name = reader.text("model");
  if (!name || std::find(model.names.begin(), model.names.end(), *name) != model.names.end())
    return;
  reader.fail({.status = 404,
               .message = fmt::format("model: found '{}', expected '{}'", name->substr(0, 200),
                                      fmt::join(model.names, "' or '")),
               .type = "not_found_error",
               .param = "model",
               .code = "model_not_found"});
}

std::vector<TokenId> read_tokens(BodyReader& reader, std::string_view name, const Json& list,
                                 const ServedModel& model) {
  std::vector<TokenId> tokens;
  tokens.reserve(list.size());
  for (const Json& id : list) {
    const bool in_range = id.is_number_integer() && id >= 0 && id < model.files.config.vocab;
    if (!in_range) {
      reader.fail(name, fmt::format("found {}, expected token ids below {}",
                                    id.is_number() ? id.dump() : std::string(json_type_name(id)),
                                    model.files.config.vocab));
      return {};
    }
    tokens.push_back(id.get<TokenId>());
  }
  return tokens;
}

void read_placement(BodyReader& reader, Request& request) {
  request.priority =
      static_cast<int>(reader.integer("priority", -kMostPriority, kMostPriority).value_or(0));
  request.cache_salt = reader.text("cache_salt").value_or("");
  if (request.cache_salt.size() > kMostSaltBytes)
    reader.fail("cache_salt", fmt::format("found {} bytes, the limit is {}",
                                          request.cache_salt.size(), kMostSaltBytes));
}

std::vector<Prompt> read_prompts(BodyReader& reader, std::string_view name, std::size_t most,
                                 bool special, const ServedModel& model) {
  const Json* given = reader.any(name);
  if (!given) {
    reader.fail(name, "is missing");
    return {};
  }
  const bool many = given->is_array() && !given->empty() && !given->front().is_number();
  if (many && given->size() > most) {
    reader.fail(name, fmt::format("found {} prompts, the limit is {}", given->size(), most));
    return {};
  }
  std::vector<Prompt> prompts;
  const auto add = [&](const Json& one) {
    Prompt prompt;
    if (one.is_array()) {
      prompt.tokens = read_tokens(reader, name, one, model);
    } else if (!one.is_string()) {
      return reader.fail(name,
                         fmt::format("found {}, expected a text, token ids, or a list of those",
                                     json_type_name(one)));
    } else if (!model.files.tokenizer) {
      return reader.fail(name, "this model has no tokenizer: only token ids work");
    } else {
      prompt.text = one.get<std::string>();
      auto tokens = model.files.tokenizer->encode(*prompt.text, {.add_special_tokens = special});
      if (!tokens) return reader.fail(api_error(tokens.error()));
      prompt.tokens = std::move(*tokens);
    }
    if (prompt.tokens.empty()) return reader.fail(name, "is empty");
    prompts.push_back(std::move(prompt));
  };
  if (many)
    for (const Json& one : *given) add(one);
  else
    add(*given);
  return prompts;
}

std::optional<ApiError> ask_for_prompt_logprobs(GenerationSpec& spec) {
  if (!spec.prompt_logprobs && !spec.echo_logprobs) return {};
  const int each = std::max(spec.prompt_logprobs.value_or(0),
                            spec.echo_logprobs ? spec.request.sampling.logprobs : 0);
  // The first answer to a prompt brings them, which may come after the beginning of another.
  if (spec.stream && spec.n > 1)
    return bad_field("n", "found more than 1, which echo with logprobs does not stream");
  std::int64_t tokens = 0;
  for (const std::vector<TokenId>& prompt : spec.prompts) tokens += std::ssize(prompt);
  const std::int64_t entries = tokens * spec.n * (each + 1);
  if (entries > kMostPromptEntries)
    return bad_field(spec.prompt_logprobs ? "prompt_logprobs" : "logprobs",
                     fmt::format("{} log probabilities of prompts in one response, the limit is {}",
                                 entries, kMostPromptEntries));
  spec.request.prompt_logprobs = each;
  return {};
}

void read_common(BodyReader& reader, const ServedModel& model, GenerationSpec& spec,
                 AnswerShape& shape) {
  Request& request = spec.request;
  read_model(reader, model);
  read_sampling(reader, model, request.sampling);
  read_stops(reader, request);
  if (const Json* ids = reader.list("stop_token_ids", 1024))
    request.stop_tokens = read_tokens(reader, "stop_token_ids", *ids, model);
  request.ignore_eos = reader.boolean("ignore_eos").value_or(false);
  read_placement(reader, request);
  if (const auto drafts = reader.integer("draft_tokens", 0, model.most_draft_tokens))
    request.draft_tokens = static_cast<int>(*drafts);
  request.skip_special_tokens = reader.boolean("skip_special_tokens").value_or(true);

  spec.n = static_cast<int>(reader.integer("n", 1, model.most_choices).value_or(1));
  if (const auto best = reader.integer("best_of", 1, model.most_choices); best && *best != spec.n)
    reader.fail("best_of", "is not supported beyond n");
  spec.stream = reader.boolean("stream").value_or(false);
  if (const Json* options = reader.object("stream_options")) {
    BodyReader inner(*options, "stream_options.");
    spec.include_usage = inner.boolean("include_usage").value_or(false);
    inner.only("include_obfuscation", {false, true}, "expected true or false");
    inner.only("continuous_usage_stats", {false}, "is not supported");
    if (auto error = inner.finish()) reader.fail(std::move(*error));
    if (!spec.stream) reader.fail("stream_options", "has a meaning only together with stream");
  }
  spec.return_token_ids = reader.boolean("return_token_ids").value_or(false);
  if (const auto each = reader.integer("prompt_logprobs", 0, kMostPromptLogprobs)) {
    // Some clients send every field: a zero, with a stream, asks for nothing.
    if (!spec.stream)
      spec.prompt_logprobs = static_cast<int>(*each);
    else if (*each > 0)
      reader.fail("prompt_logprobs", "is not supported together with stream");
  }

  // Who asks, and hints that change no answer.
  reader.ignore({"user", "metadata", "safety_identifier", "prompt_cache_key",
                 "prompt_cache_retention", "request_id", "prediction"});
  reader.only("store", {false}, "is not supported: nothing is stored");
  reader.only("service_tier", {"auto", "default"}, "is not supported");
  reader.only("truncate_prompt_tokens", {}, "is not supported");
  reader.only("allowed_token_ids", {Json::array()}, "is not supported");
  reader.only("bad_words", {Json::array()}, "is not supported");
  reader.only("logits_processors", {Json::array()}, "is not supported");
  reader.only("include_stop_str_in_output", {false}, "is not supported");
  reader.only("spaces_between_special_tokens", {true, false}, "expected true or false");
  reader.only("use_beam_search", {false}, "is not supported");
  reader.only("length_penalty", {1, 1.0}, "is not supported: there is no beam search");
  reader.only("return_tokens_as_token_ids", {false}, "is not supported");
  shape.min_tokens = reader.integer("min_tokens", 0, model.context).value_or(0);
  read_structured_outputs(reader, shape);
}

}  // namespace millrace::server
