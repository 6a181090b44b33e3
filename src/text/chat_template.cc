#include "text/chat_template.h"

#include <array>

#include "base/json.h"
#include "text/chat_messages.h"
#include "text/chat_request.h"
#include "text/jinja/template.h"

namespace millrace {
namespace {

// The variables that a request itself fills.
constexpr std::array<std::string_view, 4> kOwnVariables = {"messages", "tools", "documents",
                                                           "add_generation_prompt"};

struct NamedTemplate {
  std::string source;
  JinjaTemplate program;
};

Status check_request(const ChatRequest& request) {
  if (request.add_generation_prompt && request.continue_final_message)
    return fail(ErrorCode::InvalidArgument,
                "add_generation_prompt and continue_final_message exclude each other");
  if (!request.tools.is_null() && !request.tools.is_array())
    return fail(ErrorCode::InvalidArgument, "tools: found {}, expected a list",
                json_type_name(request.tools));
  for (std::size_t i = 0; i < request.tools.size(); ++i)
    if (!request.tools[i].is_object())
      return fail(ErrorCode::InvalidArgument, "tools[{}]: found {}, expected an object", i,
                  json_type_name(request.tools[i]));
  if (!request.documents.is_null() && !request.documents.is_array())
    return fail(ErrorCode::InvalidArgument, "documents: found {}, expected a list",
                json_type_name(request.documents));
  for (std::size_t i = 0; i < request.documents.size(); ++i)
    if (!request.documents[i].is_object())
      return fail(ErrorCode::InvalidArgument, "documents[{}]: found {}, expected an object", i,
                  json_type_name(request.documents[i]));
  if (!request.variables.is_null() && !request.variables.is_object())
    return fail(ErrorCode::InvalidArgument, "template variables: found {}, expected an object",
                json_type_name(request.variables));
  for (const std::string_view own : kOwnVariables)
    if (request.variables.is_object() && request.variables.contains(std::string(own)))
      return fail(ErrorCode::InvalidArgument,
                  "template variables: '{}' is a field of the request, not a variable", own);
  return {};
}

}  // namespace

struct ChatTemplate::State {
  NamedTemplate usual;
  std::optional<NamedTemplate> with_tools;  // where the model has another one for tools
  SpecialTokens special_tokens;
};

Result<ChatTemplate> ChatTemplate::parse(std::string source, std::string_view origin,
                                         SpecialTokens special_tokens, const JinjaLimits& limits) {
  JinjaTemplate program = MILLRACE_TRY(JinjaTemplate::parse(source, origin, limits));
  return ChatTemplate(std::make_shared<State>(
      State{{std::move(source), std::move(program)}, std::nullopt, std::move(special_tokens)}));
}

Result<ChatTemplate> ChatTemplate::from_named(const std::map<std::string, std::string>& sources,
                                              const std::string& origin,
                                              SpecialTokens special_tokens) {
  const auto usual = sources.find("default");
  if (usual == sources.end())
    return fail(ErrorCode::Unsupported, "{}: none of its {} chat templates is named 'default'",
                origin, sources.size());
  JinjaTemplate program = MILLRACE_TRY(JinjaTemplate::parse(usual->second, origin));
  State state{{usual->second, std::move(program)}, std::nullopt, std::move(special_tokens)};
  if (const auto tools = sources.find("tool_use"); tools != sources.end()) {
    JinjaTemplate other = MILLRACE_TRY(JinjaTemplate::parse(tools->second, origin + " (tool_use)"));
    state.with_tools = NamedTemplate{tools->second, std::move(other)};
  }
  return ChatTemplate(std::make_shared<State>(std::move(state)));
}

const std::string& ChatTemplate::source() const {
  return state_->usual.source;
}

Result<std::string> ChatTemplate::render(const ChatRequest& request) const {
  MILLRACE_TRY(check_request(request));
  const NamedTemplate& chosen =
      !request.tools.is_null() && state_->with_tools ? *state_->with_tools : state_->usual;
  Json messages = MILLRACE_TRY(prepare_messages(request.messages, request.parse_arguments));
  std::optional<FinalMessageCut> cut;
  if (request.continue_final_message)
    cut = MILLRACE_TRY(FinalMessageCut::mark(messages, request.continue_field, chosen.source));

  // Later ones win: the request's tokens over the model's, its variables over both.
  Json tokens = Json::object();
  for (const auto& [name, text] : state_->special_tokens) tokens[name] = text;
  for (const auto& [name, text] : request.special_tokens) tokens[name] = text;
  const Json add_generation_prompt = request.add_generation_prompt;
  JinjaVariables variables;
  const auto add_all = [&](const Json& object) {
    for (auto it = object.begin(); it != object.end(); ++it)
      variables.emplace_back(it.key(), &it.value());
  };
  add_all(tokens);
  if (request.variables.is_object()) add_all(request.variables);
  variables.emplace_back("messages", &messages);
  variables.emplace_back("tools", &request.tools);
  variables.emplace_back("documents", &request.documents);
  variables.emplace_back("add_generation_prompt", &add_generation_prompt);

  std::string prompt =
      MILLRACE_TRY(chosen.program.render(variables, request.now ? *request.now : local_now()));
  if (!cut) return prompt;
  return cut->cut(std::move(prompt));
}

bool opens_thinking(std::string_view prompt, std::string_view turn_end) {
  const std::size_t open = prompt.rfind("<think>");
  if (open == std::string_view::npos) return false;
  const std::string_view rest = prompt.substr(open);
  return rest.find("</think>") == std::string_view::npos &&
         (turn_end.empty() || rest.find(turn_end) == std::string_view::npos);
}

}  // namespace millrace
