// `millrace tokenize` and `millrace template`: what a model is really shown.
#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <iterator>

#include "base/json.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "text/chat_request.h"

namespace millrace::cli {
namespace {

std::string standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

struct TokenizeOptions {
  std::string model;
  std::string text;
  bool from_arguments = false;
  bool no_special = false;
  bool decode = false;
  bool json = false;
};

Status tokenize(const TokenizeOptions& options) {
  const LoadedModel files =
      MILLRACE_TRY(describe_model(MILLRACE_TRY(local_model(options.model)), LoadOptions{}));
  if (!files.tokenizer) return fail(ErrorCode::NotFound, "{}: has no tokenizer", files.path);
  const Tokenizer& tokenizer = *files.tokenizer;
  const std::string text = options.from_arguments ? options.text : standard_input();
  if (options.decode) {
    const Json ids = MILLRACE_TRY(parse_json(text, "token ids"));
    if (!ids.is_array())
      return fail(ErrorCode::InvalidArgument, "token ids: found {}, expected a list like [1, 6]",
                  json_type_name(ids));
    std::vector<TokenId> tokens;
    for (const Json& id : ids) {
      if (!id.is_number_integer() || id < 0 || id >= files.config.vocab)
        return fail(ErrorCode::InvalidArgument, "token ids: found {}, expected 0 to {}", id.dump(),
                    files.config.vocab - 1);
      tokens.push_back(id.get<TokenId>());
    }
    fmt::print("{}\n", tokenizer.decode(tokens, {.skip_special_tokens = false}));
    return {};
  }
  const std::vector<TokenId> tokens =
      MILLRACE_TRY(tokenizer.encode(text, {.add_special_tokens = !options.no_special}));
  if (options.json) {
    fmt::print("{}\n", Json(tokens).dump());
    return {};
  }
  for (const TokenId token : tokens) {
    // As JSON strings, so that line ends and half characters can be seen.
    const Json shown = std::string(tokenizer.token_bytes(token));
    fmt::print("{:>8}  {}{}\n", token, shown.dump(-1, ' ', false, Json::error_handler_t::replace),
               tokenizer.is_special(token) ? "  special" : "");
  }
  fmt::print(stderr, "{} tokens, {} bytes\n", tokens.size(), text.size());
  return {};
}

struct TemplateOptions {
  std::string model;
  std::string messages;
  std::string tools;
  std::string variables;
  bool no_generation_prompt = false;
};

Status render(const TemplateOptions& options) {
  const LoadedModel files =
      MILLRACE_TRY(describe_model(MILLRACE_TRY(local_model(options.model)), LoadOptions{}));
  if (!files.chat_template)
    return fail(ErrorCode::NotFound, "{}: has no chat template", files.path);
  ChatRequest chat;
  Json file = options.messages == "-" ? MILLRACE_TRY(parse_json(standard_input(), "standard input"))
                                      : MILLRACE_TRY(read_json_file(options.messages));
  // A bare list of messages, as apply_chat_template takes it, or a request body with messages and
  // tools, as the server takes it.
  if (file.is_object()) {
    chat.parse_arguments = true;
    if (const Json* tools = json_find(file, "tools")) chat.tools = *tools;
    if (const Json* messages = json_find(file, "messages")) {
      Json inner = *messages;
      file = std::move(inner);
    }
  }
  chat.messages = std::move(file);
  if (!options.tools.empty()) chat.tools = MILLRACE_TRY(read_json_file(options.tools));
  if (!options.variables.empty())
    chat.variables = MILLRACE_TRY(parse_json(options.variables, "--variables"));
  chat.add_generation_prompt = !options.no_generation_prompt;
  fmt::print("{}", MILLRACE_TRY(files.chat_template->render(chat)));
  return {};
}

}  // namespace

Command add_tokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* tokenize_app = app.add_subcommand("tokenize", "Text to token ids, or back");
  tokenize_app->add_option("model", options->model, "A model's folder or .gguf file")->required();
  CLI::Option* text =
      tokenize_app->add_option("text", options->text, "The text; standard input without it");
  tokenize_app->add_flag("--no-special", options->no_special,
                         "Do not put the beginning-of-text token in front");
  tokenize_app->add_flag("--decode", options->decode,
                         "The text is a JSON list of ids: show what it says");
  tokenize_app->add_flag("--json", options->json, "Print the ids as a JSON list");
  return {tokenize_app, [=] {
            options->from_arguments = text->count() > 0;
            return tokenize(*options);
          }};
}

Command add_template(CLI::App& app) {
  auto options = std::make_shared<TemplateOptions>();
  CLI::App* template_app =
      app.add_subcommand("template", "Render messages through a model's chat template");
  template_app->add_option("model", options->model, "A model's folder or .gguf file")->required();
  template_app
      ->add_option("messages", options->messages,
                   "JSON file: a list of messages, or a request body with messages and tools; "
                   "- for standard input")
      ->required();
  template_app->add_option("--tools", options->tools, "JSON file with a list of tools");
  template_app->add_option("--variables", options->variables,
                           "JSON object of further template variables");
  template_app->add_flag("--no-generation-prompt", options->no_generation_prompt,
                         "Do not open the assistant's turn");
  return {template_app, [=] { return render(*options); }};
}

}  // namespace millrace::cli
