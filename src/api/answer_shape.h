// What a request says of its answer's shape, in any API's words, and the constraint it comes to.
#pragma once

#include <optional>
#include <string>

#include "api/generation_spec.h"
#include "constraint/token_grammar.h"

namespace millrace::server {

struct AnswerShape {
  std::optional<GrammarSource> answer;
  std::string field;  // that asked for it
  bool calls_required = false;
  std::string only_tool;  // with calls_required: the one to be called; empty: any
  std::int64_t min_tokens = 0;
  bool thoughts = true;  // may come before the answer
};

// vLLM's: structured_outputs, and the older guided_json, guided_regex, guided_choice and
// guided_grammar.
void read_structured_outputs(BodyReader& reader, AnswerShape& shape);

// OpenAI's {"type": "text" | "json_object" | "json_schema", ...}. Chat has the schema inside
// "json_schema", Responses beside the type.
void read_format(BodyReader& reader, std::string_view name, const Json& format, AnswerShape& shape);

// OpenAI's tool_choice: a word, {"type": "function", ...} in either API's form, or
// {"type": "allowed_tools", ...}, which leaves in `tools` what may be called. False: no tool may
// be called.
bool read_tool_choice(BodyReader& reader, Json& tools, AnswerShape& shape);

// Compiles the shape into spec.request.constraint. `tools` are those that the model is shown, in
// OpenAI's form (or null): calls are held to them also where nothing is required.
std::optional<ApiError> constrain(const AnswerShape& shape, const Json& tools,
                                  const ServedModel& model, GenerationSpec& spec);

}  // namespace millrace::server
