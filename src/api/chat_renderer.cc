#include "api/logprobs_json.h"
#include "api/renderer.h"
#include "base/json.h"

namespace millrace::server {
namespace {

class ChatRenderer final : public Renderer {
 public:
  ChatRenderer(std::shared_ptr<const GenerationSpec> spec, ResponseNames names,
               const Tokenizer* tokenizer)
      : Renderer(std::move(spec), std::move(names)), tokenizer_(tokenizer) {}

  void begin(std::string& out) override {
    for (const Choice& choice : choices_) {
      Json entry = stream_entry(choice, {{"role", "assistant"}, {"content", ""}});
      if (spec_->return_token_ids) entry["token_ids"] = Json::array();
      Json json = chunk(std::move(entry));
      if (spec_->return_token_ids) json["prompt_token_ids"] = spec_->prompts.front();
      append_event(out, json);
    }
  }

  void end(std::string& out) override {
    if (spec_->include_usage) {
      Json json = header("chat.completion.chunk");
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
    Json json = header("chat.completion");
    Json choices = Json::array();
    for (const Choice& choice : choices_) choices.push_back(whole(choice));
    json["choices"] = std::move(choices);
    json["usage"] = usage_json();
    if (spec_->prompt_logprobs)
      json["prompt_logprobs"] = prompt_logprobs_json(
          spec_->prompts.front(), scores(choices_.front()), *spec_->prompt_logprobs, tokenizer_);
    if (spec_->return_token_ids) json["prompt_token_ids"] = spec_->prompts.front();
    return json;
  }

 private:
  void write(Choice& choice, const TokenUpdate& update, const std::vector<AnswerEvent>& events,
             std::string& out) override {
    // The first chunk of an update carries what belongs to its token.
    bool first = true;
    const auto send = [&](Json delta) {
      Json entry = stream_entry(choice, std::move(delta));
      if (first && update.token) {
        if (spec_->request.sampling.logprobs >= 0)
          entry["logprobs"] = {{"content", Json::array({chat_logprob(*update.token, tokenizer_)})}};
        if (spec_->return_token_ids) entry["token_ids"] = Json::array({update.token->token});
      }
      first = false;
      append_event(out, chunk(std::move(entry)));
    };
    for (const AnswerEvent& event : events)
      if (Json delta = delta_of(event); !delta.empty()) send(std::move(delta));
    const bool carries = spec_->request.sampling.logprobs >= 0 || spec_->return_token_ids;
    if (first && update.token && carries) send(Json::object());
    if (choice.finish_reason().empty() || !update.finish) return;
    Json entry = stream_entry(choice, Json::object());
    entry["finish_reason"] = choice.finish_reason();
    entry["stop_reason"] = choice.stop_string().empty() ? Json() : Json(choice.stop_string());
    append_event(out, chunk(std::move(entry)));
  }

  Json delta_of(const AnswerEvent& event) const {
    switch (event.kind) {
      case AnswerEvent::Kind::Reasoning:
        if (!spec_->include_reasoning) return Json::object();
        return {{"reasoning", event.text}, {"reasoning_content", event.text}};
      case AnswerEvent::Kind::Content:
        return {{"content", event.text}};
      case AnswerEvent::Kind::CallBegin:
        return {{"tool_calls",
                 Json::array({{{"index", event.call},
                               {"id", "call_" + random_id()},
                               {"type", "function"},
                               {"function", {{"name", event.text}, {"arguments", ""}}}}})}};
      case AnswerEvent::Kind::CallArguments:
        return {{"tool_calls", Json::array({{{"index", event.call},
                                             {"function", {{"arguments", event.text}}}}})}};
      case AnswerEvent::Kind::CallEnd:
        return Json::object();
      case AnswerEvent::Kind::Problem:
        return {
            {"tool_call_problem",
             {{"index", event.call >= 0 ? Json(event.call) : Json()}, {"message", event.text}}}};
    }
    return Json::object();
  }

  Json whole(const Choice& choice) const {
    const ParsedAnswer& answer = choice.answer();
    const bool silent = answer.content.empty() && !answer.calls.empty();
    Json message = {{"role", "assistant"}, {"content", silent ? Json() : Json(answer.content)}};
    const bool thought = !answer.reasoning.empty() && spec_->include_reasoning;
    message["reasoning"] = thought ? Json(answer.reasoning) : Json();
    message["reasoning_content"] = message["reasoning"];
    if (!answer.calls.empty()) {
      Json calls = Json::array();
      for (const ParsedCall& call : answer.calls)
        calls.push_back({{"id", "call_" + random_id()},
                         {"type", "function"},
                         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
      message["tool_calls"] = std::move(calls);
    }
    if (!answer.problems.empty()) message["tool_call_problems"] = answer.problems;
    Json entry = {
        {"index", choice.index()}, {"message", std::move(message)}, {"logprobs", nullptr}};
    if (spec_->request.sampling.logprobs >= 0) {
      Json content = Json::array();
      for (const SampledToken& token : choice.tokens())
        content.push_back(chat_logprob(token, tokenizer_));
      entry["logprobs"] = {{"content", std::move(content)}};
    }
    entry["finish_reason"] = choice.finish_reason();
    entry["stop_reason"] = choice.stop_string().empty() ? Json() : Json(choice.stop_string());
    if (spec_->return_token_ids) {
      Json ids = Json::array();
      for (const SampledToken& token : choice.tokens()) ids.push_back(token.token);
      entry["token_ids"] = std::move(ids);
    }
    return entry;
  }

  Json header(const char* object) const {
    return {{"id", names_.id},
            {"object", object},
            {"created", names_.created},
            {"model", names_.model}};
  }

  static Json stream_entry(const Choice& choice, Json delta) {
    return {{"index", choice.index()},
            {"delta", std::move(delta)},
            {"logprobs", nullptr},
            {"finish_reason", nullptr}};
  }

  Json chunk(Json entry) const {
    Json json = header("chat.completion.chunk");
    json["choices"] = Json::array({std::move(entry)});
    if (spec_->include_usage) json["usage"] = nullptr;
    return json;
  }

  const Tokenizer* tokenizer_;
};

}  // namespace

std::unique_ptr<Renderer> make_chat_renderer(std::shared_ptr<const GenerationSpec> spec,
                                             ResponseNames names, const Tokenizer* tokenizer) {
  return std::make_unique<ChatRenderer>(std::move(spec), std::move(names), tokenizer);
}

}  // namespace millrace::server
