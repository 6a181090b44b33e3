// `millrace run`: one prompt, or a chat.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <iterator>

#include "base/json.h"
#include "base/units.h"
#include "cli/chat.h"
#include "cli/command.h"
#include "cli/interrupts.h"
#include "cli/model_options.h"

namespace millrace::cli {
namespace {

struct RunOptions {
  ModelOptions model;
  std::string prompt;
  std::string system;
  std::string tools_file;
  bool raw = false;
  bool json = false;
  std::int64_t max_tokens = 0;
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  std::optional<std::uint64_t> seed;
  int logprobs = -1;
  std::vector<std::string> stop;
  std::vector<std::string> logit_bias;  // "token=value"
  bool ignore_eos = false;
  int draft_tokens = 0;
  std::string draft_model;
  std::string session;
};

// The flags, then what the model recommends.
Result<SamplingParams> sampling_of(const RunOptions& options, const GenerationDefaults& model) {
  SamplingParams params = recommended_sampling(model);
  params.temperature = options.temperature.value_or(params.temperature);
  params.min_p = options.min_p.value_or(params.min_p);
  params.top_p = options.top_p.value_or(params.top_p);
  params.top_k = options.top_k.value_or(params.top_k);
  params.repetition_penalty = options.repetition_penalty.value_or(params.repetition_penalty);
  params.presence_penalty = options.presence_penalty;
  params.frequency_penalty = options.frequency_penalty;
  params.seed = options.seed;
  params.logprobs = options.logprobs;
  for (const std::string& entry : options.logit_bias) {
    TokenId token = 0;
    float bias = 0;
    if (std::sscanf(entry.c_str(), "%d=%f", &token, &bias) != 2)
      return fail(ErrorCode::InvalidArgument, "--logit-bias: found '{}', expected TOKEN=VALUE",
                  entry);
    params.logit_bias.emplace_back(token, bias);
  }
  return params;
}

Result<ChatSettings> settings_of(const RunOptions& options, const Engine& engine) {
  ChatSettings settings;
  settings.system = options.system;
  settings.raw = options.raw;
  settings.request.sampling = MILLRACE_TRY(sampling_of(options, engine.files().generation));
  settings.request.max_tokens = options.max_tokens;
  settings.request.stop = options.stop;
  settings.request.ignore_eos = options.ignore_eos;
  settings.request.draft_tokens = options.draft_tokens;
  if (!options.tools_file.empty()) {
    settings.tools = MILLRACE_TRY(read_json_file(options.tools_file));
    // Calls are framed by special tokens: with tools at hand, show them.
    settings.request.skip_special_tokens = false;
  }
  return settings;
}

void print_usage(const Completion& completion) {
  const Usage& usage = completion.usage;
  const std::int64_t computed = usage.prompt_tokens - usage.cached_tokens;
  const double decode_seconds = usage.total_seconds - usage.first_token_seconds;
  const auto rate = [](std::int64_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  };
  fmt::print(stderr, "\n[prompt {} tokens", usage.prompt_tokens);
  if (usage.cached_tokens > 0)
    fmt::print(stderr, " ({} cached, {} replayed)", usage.cached_tokens, usage.replayed_tokens);
  if (usage.draft_tokens > 0)
    fmt::print(stderr, ", {} of {} guesses right", usage.accepted_draft_tokens, usage.draft_tokens);
  fmt::print(stderr,
             ": first token after {}, {:.0f} tok/s | answer {} tokens: {:.1f} tok/s | {}]\n",
             format_seconds(usage.first_token_seconds), rate(computed, usage.first_token_seconds),
             usage.completion_tokens, rate(usage.completion_tokens - 1, decode_seconds),
             to_string(completion.finish));
}

Json usage_json(const Completion& completion) {
  const Usage& usage = completion.usage;
  return {{"prompt_tokens", usage.prompt_tokens},
          {"cached_tokens", usage.cached_tokens},
          {"replayed_tokens", usage.replayed_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"draft_tokens", usage.draft_tokens},
          {"accepted_draft_tokens", usage.accepted_draft_tokens},
          {"first_token_seconds", usage.first_token_seconds},
          {"total_seconds", usage.total_seconds}};
}

// What an earlier run has left, if there was one.
Status resume(ChatSession& session, const std::string& path) {
  if (path.empty() || !std::filesystem::exists(path)) return {};
  return session.load(path);
}

Status answer_once(Engine& engine, const RunOptions& options) {
  ChatSession session(engine, MILLRACE_TRY(settings_of(options, engine)));
  MILLRACE_TRY(resume(session, options.session));
  Json logprobs = Json::array();
  const auto show = [&](const TokenEvent& event) {
    if (!options.json) {
      fmt::print("{}", event.text);
      std::fflush(stdout);
    }
    if (options.logprobs < 0 || !event.token) return;
    Json best = Json::array();
    for (const TokenLogprob& candidate : event.token->best)
      best.push_back({{"token", candidate.token}, {"logprob", candidate.logprob}});
    logprobs.push_back({{"token", event.token->token},
                        {"logprob", event.token->logprob},
                        {"top", std::move(best)}});
  };
  const Completion completion = MILLRACE_TRY(session.say(options.prompt, show));
  if (completion.finish == FinishReason::Failed)
    return fail(ErrorCode::Corrupt, "{}", completion.error);
  if (!options.session.empty()) MILLRACE_TRY(session.save(options.session));
  if (options.json) {
    Json out = {{"text", completion.text},
                {"tokens", completion.tokens},
                {"finish_reason", to_string(completion.finish)},
                {"usage", usage_json(completion)}};
    if (options.logprobs >= 0) out["logprobs"] = std::move(logprobs);
    fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    fmt::print("\n");
    std::fflush(stdout);
    if (options.logprobs >= 0) fmt::print(stderr, "{}\n", logprobs.dump());
    print_usage(completion);
  }
  if (completion.finish == FinishReason::Cancelled)
    return fail(ErrorCode::Cancelled, "interrupted");
  return {};
}

Status chat(Engine& engine, const RunOptions& options) {
  ChatSession session(engine, MILLRACE_TRY(settings_of(options, engine)));
  MILLRACE_TRY(resume(session, options.session));
  LineEditor editor;
  fmt::print(stderr, "Chat with {}. /help lists commands, Ctrl-C stops an answer, Ctrl-D ends.\n",
             engine.files().path);
  while (std::optional<std::string> line = editor.read("> ")) {
    if (line->empty()) continue;
    if (*line == "/exit" || *line == "/quit") break;
    if (*line == "/reset") {
      session.reset();
      fmt::print(stderr, "The conversation starts over.\n");
      continue;
    }
    if (line->starts_with("/save ") || line->starts_with("/load ")) {
      const std::string path = line->substr(6);
      const Status done = (*line)[1] == 's' ? session.save(path) : session.load(path);
      fmt::print(stderr, "{}\n", done ? path : "millrace: " + done.error().message);
      continue;
    }
    if (line->front() == '/') {
      fmt::print(stderr,
                 "/reset      forget the conversation\n"
                 "/save FILE  write it and its memory to a file, and FILE.json\n"
                 "/load FILE  go on with one that was saved\n"
                 "/exit       leave\n");
      continue;
    }
    const Result<Completion> completion = session.say(*line, [](const TokenEvent& event) {
      fmt::print("{}", event.text);
      std::fflush(stdout);
    });
    if (!completion) {
      fmt::print(stderr, "millrace: {}\n", completion.error().message);
      continue;
    }
    if (completion->finish == FinishReason::Failed)
      return fail(ErrorCode::Corrupt, "{}", completion->error);
    fmt::print("\n");
    std::fflush(stdout);
    print_usage(*completion);
    if (!options.session.empty()) MILLRACE_TRY(session.save(options.session));
  }
  return {};
}

Status run(RunOptions options, bool has_prompt) {
  if (!has_prompt && ::isatty(STDIN_FILENO) == 0) {
    options.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
    while (options.prompt.ends_with('\n')) options.prompt.pop_back();
    has_prompt = true;
  }
  if (has_prompt && options.prompt.empty())
    return fail(ErrorCode::InvalidArgument, "the prompt is empty");
  EngineOptions wanted = MILLRACE_TRY(options.model.resolve());
  if (!options.draft_model.empty()) {
    wanted.draft_model = MILLRACE_TRY(options.model.path_of(options.draft_model));
    if (options.draft_tokens == 0) options.draft_tokens = 4;
  }
  block_interrupts();  // from here on: they stop answers
  std::unique_ptr<Engine> engine;
  {
    const InterruptsEndProgram while_loading;
    engine = MILLRACE_TRY(Engine::open(wanted));
  }
  return has_prompt ? answer_once(*engine, options) : chat(*engine, options);
}

}  // namespace

Command add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* run_app = app.add_subcommand(
      "run", "Answer a prompt, or chat when none is given (a pipe on standard input is a prompt)");
  options->model.add_to(*run_app);
  CLI::Option* prompt = run_app->add_option("prompt", options->prompt, "What to ask");
  run_app->add_option("-s,--system", options->system, "System message");
  run_app->add_option("--tools", options->tools_file,
                      "JSON file with a list of tools in OpenAI's form");
  run_app->add_flag("--raw", options->raw, "Continue the prompt as plain text, without a template");
  run_app->add_flag("--json", options->json, "Print one JSON object instead of streaming");
  run_app
      ->add_option("-n,--max-tokens", options->max_tokens, "Most tokens of an answer; 0: what fits")
      ->capture_default_str();
  run_app->add_option("--temperature", options->temperature, "0 chooses the best token always");
  run_app->add_option("--top-k", options->top_k, "Choose among the k best; 0: all");
  run_app->add_option("--top-p", options->top_p,
                      "Choose among the best that reach this probability");
  run_app->add_option("--min-p", options->min_p,
                      "Drop tokens below this share of the best one's probability");
  run_app->add_option("--repetition-penalty", options->repetition_penalty,
                      "Divides the logits of tokens seen before; 1: none");
  run_app
      ->add_option("--presence-penalty", options->presence_penalty,
                   "Subtracted once from tokens of the answer")
      ->capture_default_str();
  run_app
      ->add_option("--frequency-penalty", options->frequency_penalty,
                   "Subtracted for each occurrence in the answer")
      ->capture_default_str();
  run_app->add_option("--seed", options->seed, "Same seed, same answer");
  run_app->add_option("--logprobs", options->logprobs,
                      "Report log probabilities, with this many alternatives");
  run_app->add_option("--stop", options->stop, "End the answer before this text (repeatable)")
      ->allow_extra_args(false);
  run_app
      ->add_option("--logit-bias", options->logit_bias,
                   "TOKEN=VALUE, added to a logit (repeatable)")
      ->allow_extra_args(false);
  run_app->add_flag("--ignore-eos", options->ignore_eos, "Go on past the end of the turn");
  run_app
      ->add_option("--draft-tokens", options->draft_tokens,
                   "Guess up to so many tokens a step from the text so far, or with --draft-model; "
                   "the answer stays the same")
      ->check(CLI::Range(0, EngineOptions().most_draft_tokens))
      ->capture_default_str();
  run_app->add_option("--draft-model", options->draft_model,
                      "A smaller model with the same tokens, which guesses (4 a step, if "
                      "--draft-tokens does not say)");
  run_app->add_option(
      "--session", options->session,
      "Go on with the conversation in this file, and keep it there (its messages in "
      "FILE.json)");
  return {run_app, [=] { return run(*options, prompt->count() > 0); }};
}

}  // namespace millrace::cli
