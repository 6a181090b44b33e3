#include "api/answer_shape.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "constraint/call_grammar.h"
#include "constraint/grammar_text.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostChoices = 4096;
constexpr std::size_t kMostChoiceBytes = 64u << 10;

const std::string* text_field(const Json& object, std::string_view name) {
  const Json* value = json_find(object, name);
  return value && value->is_string() ? &value->get_ref<const std::string&>() : nullptr;
}

void set_answer(BodyReader& reader, std::string_view field, GrammarSource source,
                AnswerShape& shape) {
  if (shape.answer)
    return reader.fail(field, fmt::format("cannot be combined with {}", shape.field));
  shape.answer = std::move(source);
  shape.field = field;
}

GrammarSource schema_source(const Json& schema) {
  return {.kind = GrammarSource::Kind::JsonSchema,
          .text = schema.is_string() ? schema.get<std::string>()
                                     : schema.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

const Json kAnyObject = {{"type", "object"}};

void read_choices(BodyReader& reader, std::string_view field, const Json& list,
                  AnswerShape& shape) {
  std::vector<std::string> choices;
  std::size_t bytes = 0;
  for (const Json& choice : list) {
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty())
      return reader.fail(field, "expected a list of texts");
    bytes += choices.emplace_back(choice.get<std::string>()).size();
  }
  if (choices.empty()) return reader.fail(field, "is empty");
  if (bytes > kMostChoiceBytes / 2)
    return reader.fail(field, fmt::format("found {} bytes of texts, the limit is {}", bytes,
                                          kMostChoiceBytes / 2));
  set_answer(reader, field, choice_source(choices), shape);
}

// The fields of structured_outputs, or with "guided_" before them.
void read_kinds(BodyReader& fields, BodyReader& reader, const std::string& prefix,
                const std::string& shown, AnswerShape& shape) {
  if (const Json* schema = fields.any(prefix + "json")) {
    if (schema->is_object() || schema->is_string())
      set_answer(reader, shown + "json", schema_source(*schema), shape);
    else
      fields.fail(prefix + "json", "expected a schema");
  }
  if (const auto regex = fields.text(prefix + "regex"))
    set_answer(reader, shown + "regex", {.kind = GrammarSource::Kind::Regex, .text = *regex},
               shape);
  if (const auto grammar = fields.text(prefix + "grammar"))
    set_answer(reader, shown + "grammar", {.kind = GrammarSource::Kind::Grammar, .text = *grammar},
               shape);
  if (const Json* choices = fields.list(prefix + "choice", kMostChoices))
    read_choices(reader, shown + "choice", *choices, shape);
  if (fields.boolean(prefix + "json_object").value_or(false))
    set_answer(reader, shown + "json_object", schema_source(kAnyObject), shape);
}

// The tool's name in either API's form.
const std::string* tool_name(const Json& choice) {
  if (const Json* function = json_find(choice, "function")) return text_field(*function, "name");
  return text_field(choice, "name");
}

bool has_tool(const Json& tools, std::string_view name) {
  return std::any_of(tools.begin(), tools.end(),
                     [&](const Json& tool) { return tool["function"]["name"] == name; });
}

bool read_allowed_tools(BodyReader& reader, const Json& choice, Json& tools, AnswerShape& shape) {
  const Json* inner = json_find(choice, "allowed_tools");
  const Json& fields = inner ? *inner : choice;
  const std::string* mode = text_field(fields, "mode");
  const Json* list = json_find(fields, "tools");
  if (!mode || (*mode != "auto" && *mode != "required") || !list || !list->is_array()) {
    reader.fail("tool_choice", "expected mode ('auto' or 'required') and tools");
    return false;
  }
  Json allowed = Json::array();
  for (const Json& one : *list) {
    const std::string* name = tool_name(one);
    if (!name || !has_tool(tools, *name)) {
      reader.fail("tool_choice", fmt::format("tool '{}' is not in tools",
                                             name ? name->substr(0, 60) : std::string()));
      return false;
    }
    for (const Json& tool : tools)
      if (tool["function"]["name"] == *name) allowed.push_back(tool);
  }
  tools = std::move(allowed);
  shape.calls_required = *mode == "required";
  return !tools.empty();
}

}  // namespace

void read_structured_outputs(BodyReader& reader, AnswerShape& shape) {
  read_kinds(reader, reader, "guided_", "guided_", shape);
  reader.ignore({"guided_decoding_backend"});
  reader.only("guided_whitespace_pattern", {}, "is not supported");
  if (const Json* outputs = reader.object("structured_outputs")) {
    BodyReader inner(*outputs, "structured_outputs.");
    read_kinds(inner, reader, "", "structured_outputs.", shape);
    inner.only("structural_tag", {}, "is not supported");
    inner.only("whitespace_pattern", {}, "is not supported");
    inner.only("disable_any_whitespace", {false}, "is not supported");
    inner.only("disable_additional_properties", {true}, "is not supported");
    inner.ignore({"disable_fallback"});
    if (auto error = inner.finish()) reader.fail(std::move(*error));
  }
}

void read_format(BodyReader& reader, std::string_view name, const Json& format,
                 AnswerShape& shape) {
  const std::string* type = text_field(format, "type");
  if (type && *type == "text") return;
  if (type && *type == "json_object")
    return set_answer(reader, name, schema_source(kAnyObject), shape);
  if (!type || *type != "json_schema")
    return reader.fail(name, "expected the type 'text', 'json_object' or 'json_schema'");
  const Json* inner = json_find(format, "json_schema");
  const Json* schema = json_find(inner ? *inner : format, "schema");
  if (!schema || !schema->is_object()) return reader.fail(name, "expected a schema, an object");
  set_answer(reader, name, schema_source(*schema), shape);
}

bool read_tool_choice(BodyReader& reader, Json& tools, AnswerShape& shape) {
  const bool has_tools = tools.is_array() && !tools.empty();
  const Json* choice = reader.any("tool_choice");
  if (!choice || *choice == "auto") return has_tools;
  if (*choice == "none") return false;
  if (!has_tools) {
    reader.fail("tool_choice", "needs tools");
    return false;
  }
  if (*choice == "required") return shape.calls_required = true;
  const std::string* type = text_field(*choice, "type");
  if (type && *type == "allowed_tools") return read_allowed_tools(reader, *choice, tools, shape);
  const std::string* name = type && *type == "function" ? tool_name(*choice) : nullptr;
  if (!name) {
    reader.fail("tool_choice", "expected 'auto', 'none', 'required', or a tool of type 'function'");
    return false;
  }
  if (!has_tool(tools, *name)) {
    reader.fail("tool_choice", fmt::format("tool '{}' is not in tools", name->substr(0, 60)));
    return false;
  }
  shape.calls_required = true;
  shape.only_tool = *name;
  return true;
}

std::optional<ApiError> constrain(const AnswerShape& shape, const Json& tools,
                                  const ServedModel& model, GenerationSpec& spec) {
  const bool may_call = tools.is_array() && !tools.empty() && spec.syntax.tool_calls;
  if (!shape.answer && !may_call && shape.min_tokens == 0 && !shape.calls_required) return {};
  auto constraint = std::make_shared<Constraint>();
  Constraint& c = *constraint;
  c.vocab = model.files.config.vocab;
  c.min_tokens = shape.min_tokens;
  c.ends = turn_ends(model.files);
  c.ends.insert(c.ends.end(), spec.request.stop_tokens.begin(), spec.request.stop_tokens.end());
  const auto& tokenizer = model.files.tokenizer;
  const auto id_of = [&](const char* text) {
    return tokenizer ? tokenizer->id_of(text).value_or(-1) : TokenId{-1};
  };
  if (spec.parse && spec.syntax.reasoning) {
    c.thought_end = id_of("</think>");
    if (c.thought_end >= 0 && shape.thoughts) c.thought_begin = id_of("<think>");
    c.starts_in_thought = spec.syntax.starts_in_reasoning;
    if (c.starts_in_thought && c.thought_end < 0 && (shape.answer || shape.calls_required))
      return bad_field(shape.answer ? shape.field : "tool_choice",
                       "is not supported: this model's thoughts end with no token of their own");
  }
  const bool may_think = c.thought_begin >= 0 || c.starts_in_thought;
  const auto compile =
      [&](const GrammarSource& source) -> Result<std::shared_ptr<const TokenGrammar>> {
    if (!model.grammars)
      return fail(ErrorCode::Unsupported,
                  "answers of a model without tokenizer cannot be constrained");
    return model.grammars->compile(source);
  };

  if (shape.answer && !shape.calls_required) {
    GrammarSource source = *shape.answer;
    source.leading_space = may_think;
    auto compiled = compile(source);
    if (!compiled) return bad_field(shape.field, compiled.error().message);
    c.answer = std::move(*compiled);
  }
  const TokenId begin = id_of("<|tool_call_start|>");
  const TokenId end = id_of("<|tool_call_end|>");
  if (may_call && begin >= 0 && end >= 0) {
    c.call_begin = begin;
    c.one_call = !spec.parallel_tool_calls;
    auto source = call_source(tools,
                              {.begins_with_mark = shape.calls_required,
                               .one_call = c.one_call || !shape.only_tool.empty(),
                               .only = shape.only_tool},
                              begin, end);
    if (source) source->leading_space = shape.calls_required && may_think;
    auto compiled = source ? compile(*source) : tl::unexpected<Error>(std::move(source.error()));
    if (compiled)
      (shape.calls_required ? c.answer : c.calls) = std::move(*compiled);
    else if (shape.calls_required || has_strict_tool(tools))
      return bad_field("tools", compiled.error().message);
    // Else calls are left to the model: whoever does not ask for the shape gets no error for it.
  } else if (shape.calls_required) {
    return bad_field("tool_choice", "is not supported: this model has no marks for calls");
  }
  if (c.answer || c.calls || c.min_tokens > 0) spec.request.constraint = std::move(constraint);
  return {};
}

}  // namespace millrace::server
