#include "api/logprobs_json.h"
#include "api/renderer.h"
#include "base/json.h"

namespace millrace::server {
namespace {

class CompletionRenderer final : public Renderer {
 public:
  CompletionRenderer(std::shared_ptr<const GenerationSpec> spec, ResponseNames names,
                     const Tokenizer* tokenizer)
      : Renderer(std::move(spec), std::move(names)),
        tokenizer_(tokenizer),
        begun_(choices_.size(), false),
        offsets_(choices_.size(), 0) {}

  void begin(std::string& out) override {
    if (spec_->echo_logprobs) return;  // the first update brings what is said of the prompt
    for (const Choice& choice : choices_) begin_choice(choice, out);
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
      std::int64_t offset = characters(echo(choice));
      if (spec_->request.sampling.logprobs >= 0)
        entry["logprobs"] = completion_logprobs(choice.tokens(), tokenizer_, offset);
      if (spec_->echo_logprobs) {
        Json whole = echoed(choice);
        for (auto& [name, list] : whole.items())
          for (Json& item : entry["logprobs"][name]) list.push_back(std::move(item));
        entry["logprobs"] = std::move(whole);
      }
      if (spec_->prompt_logprobs)
        entry["prompt_logprobs"] = prompt_logprobs_json(prompt(choice), scores(choice),
                                                        *spec_->prompt_logprobs, tokenizer_);
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
  // What goes before the answer, with what is said of the prompt.
  void begin_choice(const Choice& choice, std::string& out) {
    const auto index = static_cast<std::size_t>(choice.index());
    const bool says_something =
        !spec_->echo.empty() || spec_->echo_logprobs || spec_->return_token_ids;
    if (begun_[index] || !says_something) return;
    begun_[index] = true;
    Json entry = stream_entry(choice, echo(choice));
    offsets_[index] = characters(echo(choice));
    if (spec_->echo_logprobs) entry["logprobs"] = echoed(choice);
    if (spec_->return_token_ids) {
      entry["prompt_token_ids"] = prompt(choice);
      entry["token_ids"] = Json::array();
    }
    append_event(out, chunk(std::move(entry)));
  }

  void write(Choice& choice, const TokenUpdate& update, const std::vector<AnswerEvent>& events,
             std::string& out) override {
    if (spec_->echo_logprobs) begin_choice(choice, out);
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

  std::string echo(const Choice& choice) const {
    return spec_->echo.empty() ? std::string() : spec_->echo[prompt_index(choice)];
  }
  Json echoed(const Choice& choice) const {
    return echoed_logprobs(prompt(choice), scores(choice), spec_->request.sampling.logprobs,
                           echo(choice), tokenizer_);
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
  // A choice each: what goes before the answer is sent; how many characters are.
  std::vector<bool> begun_;
  std::vector<std::int64_t> offsets_;
};

}  // namespace

std::unique_ptr<Renderer> make_completion_renderer(std::shared_ptr<const GenerationSpec> spec,
                                                   ResponseNames names,
                                                   const Tokenizer* tokenizer) {
  return std::make_unique<CompletionRenderer>(std::move(spec), std::move(names), tokenizer);
}

}  // namespace millrace::server
