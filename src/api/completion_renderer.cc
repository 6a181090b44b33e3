#include "api/logprobs_json.h"
#include "api/renderer.h"

namespace millrace::server {
namespace {

class CompletionRenderer final : public Renderer {
 public:
  CompletionRenderer(std::shared_ptr<const GenerationSpec> spec, ResponseNames names,
                     const Tokenizer* tokenizer)
      : Renderer(std::move(spec), std::move(names)),
        tokenizer_(tokenizer),
        offsets_(choices_.size(), 0) {}

  void begin(std::string& out) override {
    for (const Choice& choice : choices_) {
      const bool says_something = !spec_->echo.empty() || spec_->return_token_ids;
      if (!says_something) continue;
      Json entry = stream_entry(choice, echo(choice));
      if (spec_->return_token_ids) {
        entry["prompt_token_ids"] = prompt(choice);
        entry["token_ids"] = Json::array();
      }
      append_event(out, chunk(std::move(entry)));
    }
  }

  void end(std::string& out) override {
    if (spec_->include_usage) {
      Json json = header();
      json["choices"] = Json::array();
      json["usage"] = usage_json();
      append_event(out, json);
    }
    out += "data: [DONE]\n\n";
  }

  void fail(const ApiError& error, std::string& out) override {
    append_event(out, error_json(error));
    out += "data: [DONE]\n\n";
  }

  Json body() const override {
    Json choices = Json::array();
    for (const Choice& choice : choices_) {
      Json entry = stream_entry(choice, echo(choice) + choice.answer().content);
      std::int64_t offset = 0;
      if (spec_->request.sampling.logprobs >= 0)
        entry["logprobs"] = completion_logprobs(choice.tokens(), tokenizer_, offset);
      entry["finish_reason"] = choice.finish_reason();
      entry["stop_reason"] = choice.stop_string().empty() ? Json() : Json(choice.stop_string());
      if (spec_->return_token_ids) {
        Json ids = Json::array();
        for (const SampledToken& token : choice.tokens()) ids.push_back(token.token);
        entry["token_ids"] = std::move(ids);
        entry["prompt_token_ids"] = prompt(choice);
      }
      choices.push_back(std::move(entry));
    }
    Json json = header();
    json["choices"] = std::move(choices);
    json["usage"] = usage_json();
    return json;
  }

 private:
  void write(Choice& choice, const TokenUpdate& update, const std::vector<AnswerEvent>& events,
             std::string& out) override {
    std::string text;
    for (const AnswerEvent& event : events) text += event.text;
    const bool logprobs = update.token && spec_->request.sampling.logprobs >= 0;
    const bool ids = update.token && spec_->return_token_ids;
    if (text.empty() && !logprobs && !ids && !update.finish) return;
    Json entry = stream_entry(choice, std::move(text));
    if (logprobs)
      entry["logprobs"] = completion_logprobs(std::span(&*update.token, 1), tokenizer_,
                                              offsets_[static_cast<std::size_t>(choice.index())]);
    if (ids) entry["token_ids"] = Json::array({update.token->token});
    if (update.finish) {
      entry["finish_reason"] = choice.finish_reason();
      entry["stop_reason"] = choice.stop_string().empty() ? Json() : Json(choice.stop_string());
    }
    append_event(out, chunk(std::move(entry)));
  }

  std::size_t prompt_index(const Choice& choice) const {
    return static_cast<std::size_t>(choice.index() / spec_->n);
  }
  std::string echo(const Choice& choice) const {
    return spec_->echo.empty() ? std::string() : spec_->echo[prompt_index(choice)];
  }
  const std::vector<TokenId>& prompt(const Choice& choice) const {
    return spec_->prompts[prompt_index(choice)];
  }

  Json header() const {
    return {{"id", names_.id},
            {"object", "text_completion"},
            {"created", names_.created},
            {"model", names_.model}};
  }
  static Json stream_entry(const Choice& choice, std::string text) {
    return {{"index", choice.index()},
            {"text", std::move(text)},
            {"logprobs", nullptr},
            {"finish_reason", nullptr}};
  }
  Json chunk(Json entry) const {
    Json json = header();
    json["choices"] = Json::array({std::move(entry)});
    if (spec_->include_usage) json["usage"] = nullptr;
    return json;
  }

  const Tokenizer* tokenizer_;
  std::vector<std::int64_t> offsets_;  // characters sent, a choice each
};

}  // namespace

std::unique_ptr<Renderer> make_completion_renderer(std::shared_ptr<const GenerationSpec> spec,
                                                   ResponseNames names,
                                                   const Tokenizer* tokenizer) {
  return std::make_unique<CompletionRenderer>(std::move(spec), std::move(names), tokenizer);
}

}  // namespace millrace::server
