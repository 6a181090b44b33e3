// What a request body asks for, in the engine's words: the result of parsing every kind of body.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/api_error.h"
#include "api/body_reader.h"
#include "constraint/token_grammar.h"
#include "engine/engine.h"
#include "text/chat_request.h"
#include "text/tool_calls/answer_parser.h"

namespace millrace::server {

// What parsing needs to know of the served model. Immutable: parsing runs on worker threads.
struct ServedModel {
  const LoadedModel& files;
  std::int64_t context;
  std::vector<std::string> names;  // that requests may call it by; the first is shown
  SamplingParams sampling;         // where a request says nothing
  std::int64_t most_choices = 128;
  std::int64_t most_draft_tokens = 0;  // see EngineOptions
  bool reasoning = true;               // split <think> off
  bool tool_calls = true;
  std::optional<ChatTemplate> chat_template;  // over the model's own
  // Compiles what answers must look like; null for a model without tokenizer.
  std::shared_ptr<const GrammarCompiler> grammars;
};

std::shared_ptr<const GrammarCompiler> grammars_of(const LoadedModel& files);

struct AnswerShape;  // see answer_shape.h

struct GenerationSpec {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::string> echo;  // texts to put before the answers, a prompt each; or empty
  int n = 1;                      // answers a prompt
  Request request;                // for every answer, but for prompt and seed
  // vLLM's: log probabilities of the prompts' tokens, with so many of the likeliest. What the
  // engine is asked for is in `request`, of the first answer to each prompt.
  std::optional<int> prompt_logprobs;
  bool echo_logprobs = false;  // those of an answer begin with its prompt's

  bool stream = false;
  bool include_usage = false;  // in a stream
  bool return_token_ids = false;
  bool parse = false;  // take the answer apart
  AnswerSyntax syntax;
  bool parallel_tool_calls = true;
  bool include_reasoning = true;

  Json shown_request = Json::object();  // fields that the response repeats
  // Of /v1/responses: the answer is kept, with these items of its input; made while nobody waits.
  bool store = false;
  bool background = false;
  Json input_items;

  std::size_t choices() const { return prompts.size() * static_cast<std::size_t>(n); }
};

// POST /v1/chat/completions and /v1/completions.
ApiResult<GenerationSpec> parse_chat(const Json& body, const ServedModel& model);
ApiResult<GenerationSpec> parse_completion(const Json& body, const ServedModel& model);

// Anthropic's POST /v1/messages, and the prompt's length for /v1/messages/count_tokens.
ApiResult<GenerationSpec> parse_messages(const Json& body, const ServedModel& model);
ApiResult<Json> count_message_tokens(const Json& body, const ServedModel& model);

// OpenAI's POST /v1/responses; what previous_response_id names is in the input by then: see
// response_store.h.
ApiResult<GenerationSpec> parse_responses(const Json& body, const ServedModel& model);

// POST /tokenize and /detokenize.
ApiResult<Json> tokenize(const Json& body, const ServedModel& model);
ApiResult<Json> detokenize(const Json& body, const ServedModel& model);

// Pieces that several bodies share.

// "model": absent, or one of the served names.
void read_model(BodyReader& reader, const ServedModel& model);
// Sampling, stops, n, stream, and what is refused or ignored everywhere.
void read_common(BodyReader& reader, const ServedModel& model, GenerationSpec& spec,
                 AnswerShape& shape);
// Asks the engine for what the prompts' log probabilities are needed for, once all is read.
std::optional<ApiError> ask_for_prompt_logprobs(GenerationSpec& spec);
// Where the request stands among others: priority, cache_salt.
void read_placement(BodyReader& reader, Request& request);
struct Prompt {
  std::vector<TokenId> tokens;
  std::optional<std::string> text;  // where that is what was given
};
// A text, a list of token ids, or a list of at most `most` of those; not one is empty.
std::vector<Prompt> read_prompts(BodyReader& reader, std::string_view name, std::size_t most,
                                 bool special, const ServedModel& model);
// A list of token ids below the vocabulary's size.
std::vector<TokenId> read_tokens(BodyReader& reader, std::string_view name, const Json& list,
                                 const ServedModel& model);
// Renders and encodes; the answer's syntax follows from the prompt.
ApiResult<std::vector<TokenId>> chat_prompt(const ChatRequest& chat, const ServedModel& model,
                                            GenerationSpec& spec);
// How the answer is taken apart, given the tools that the model is shown (or null).
void read_answer_syntax(const Json& tools, const ServedModel& model, GenerationSpec& spec);
// Checks a list of tools in OpenAI's form.
void check_tools(BodyReader& reader, const Json& tools);

}  // namespace millrace::server
