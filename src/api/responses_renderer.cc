#include "api/renderer.h"
#include "base/json.h"

namespace millrace::server {
namespace {

// OpenAI's Responses: an answer is a list of items (reasoning, message, function_call), each added,
// filled and done in the stream, with every event numbered.
class ResponsesRenderer final : public Renderer {
 public:
  using Renderer::Renderer;

  void begin(std::string& out) override {
    send("response.created", {{"response", response("in_progress")}}, out);
    send("response.in_progress", {{"response", response("in_progress")}}, out);
  }

  void end(std::string& out) override {
    close_item(out, true);
    const std::string status = final_status();
    send("response." + status, {{"response", response(status)}}, out);
  }

  void fail(const ApiError& error, std::string& out) override {
    Json json = response("failed");
    json["error"] = {{"code", "server_error"}, {"message", error.message}};
    send("response.failed", {{"response", std::move(json)}}, out);
  }

  Json begun() const override { return response("in_progress"); }

  Json body() const override {
    if (sequence_ > 0) return response(final_status());  // it was streamed
    // The same items as a stream's, made of the whole answer.
    ResponsesRenderer whole(spec_, names_);
    const ParsedAnswer& answer = choices_.front().answer();
    std::string unused;
    const auto add = [&](AnswerEvent::Kind kind, const std::string& text) {
      whole.event({.kind = kind, .call = 0, .text = text}, unused);
    };
    if (!answer.reasoning.empty()) add(AnswerEvent::Kind::Reasoning, answer.reasoning);
    if (!answer.content.empty()) add(AnswerEvent::Kind::Content, answer.content);
    for (const ParsedCall& call : answer.calls) {
      add(AnswerEvent::Kind::CallBegin, call.name);
      add(AnswerEvent::Kind::CallArguments, call.arguments);
      add(AnswerEvent::Kind::CallEnd, "");
    }
    whole.close_item(unused, true);
    Json json = response(final_status());
    json["output"] = std::move(whole.output_);
    return json;
  }

 private:
  enum class Item { None, Reasoning, Message, Call };

  void write(Choice&, const TokenUpdate&, const std::vector<AnswerEvent>& events,
             std::string& out) override {
    for (const AnswerEvent& event : events) this->event(event, out);
  }

  void event(const AnswerEvent& event, std::string& out) {
    switch (event.kind) {
      case AnswerEvent::Kind::Reasoning:
        open_item(Item::Reasoning, {}, out);
        text_ += event.text;
        send_part("response.reasoning_text.delta", {{"delta", event.text}}, out);
        return;
      case AnswerEvent::Kind::Content:
        open_item(Item::Message, {}, out);
        text_ += event.text;
        send_part("response.output_text.delta",
                  {{"delta", event.text}, {"logprobs", Json::array()}}, out);
        return;
      case AnswerEvent::Kind::CallBegin:
        close_item(out, true);
        open_item(Item::Call, event.text, out);
        return;
      case AnswerEvent::Kind::CallArguments:
        text_ += event.text;
        send("response.function_call_arguments.delta",
             {{"item_id", item_["id"]}, {"output_index", output_.size()}, {"delta", event.text}},
             out);
        return;
      case AnswerEvent::Kind::CallEnd:
        close_item(out, true);
        return;
      case AnswerEvent::Kind::Problem:
        if (open_ == Item::Call) close_item(out, false);
        return;
    }
  }

  Json part() const {
    if (open_ == Item::Reasoning) return {{"type", "reasoning_text"}, {"text", text_}};
    return {{"type", "output_text"},
            {"text", text_},
            {"annotations", Json::array()},
            {"logprobs", Json::array()}};
  }

  void open_item(Item kind, const std::string& name, std::string& out) {
    if (open_ == kind && kind != Item::Call) return;
    close_item(out, true);
    open_ = kind;
    text_.clear();
    switch (kind) {
      case Item::Reasoning:
        item_ = {{"id", "rs_" + random_id()},
                 {"type", "reasoning"},
                 {"status", "in_progress"},
                 {"summary", Json::array()},
                 {"content", Json::array()}};
        break;
      case Item::Message:
        item_ = {{"id", "msg_" + random_id()},
                 {"type", "message"},
                 {"status", "in_progress"},
                 {"role", "assistant"},
                 {"content", Json::array()}};
        break;
      default:
        item_ = {{"id", "fc_" + random_id()},
                 {"type", "function_call"},
                 {"status", "in_progress"},
                 {"call_id", "call_" + random_id()},
                 {"name", name},
                 {"arguments", ""}};
    }
    send("response.output_item.added", {{"output_index", output_.size()}, {"item", item_}}, out);
    if (kind != Item::Call) send_part("response.content_part.added", {{"part", part()}}, out);
  }

  void close_item(std::string& out, bool complete) {
    if (open_ == Item::None) return;
    if (open_ == Item::Call) {
      item_["arguments"] = text_;
      send("response.function_call_arguments.done",
           {{"item_id", item_["id"]},
            {"output_index", output_.size()},
            {"name", item_["name"]},
            {"arguments", text_}},
           out);
    } else {
      const bool reasoning = open_ == Item::Reasoning;
      Json done = {{"text", text_}};
      if (!reasoning) done["logprobs"] = Json::array();
      send_part(reasoning ? "response.reasoning_text.done" : "response.output_text.done",
                std::move(done), out);
      send_part("response.content_part.done", {{"part", part()}}, out);
      item_["content"].push_back(part());
    }
    item_["status"] = complete ? "completed" : "incomplete";
    send("response.output_item.done", {{"output_index", output_.size()}, {"item", item_}}, out);
    output_.push_back(std::move(item_));
    open_ = Item::None;
  }

  void send_part(const std::string& type, Json fields, std::string& out) {
    fields["item_id"] = item_["id"];
    fields["output_index"] = output_.size();
    fields["content_index"] = 0;
    send(type, fields, out);
  }

  void send(const std::string& type, const Json& fields, std::string& out) {
    Json event = {{"type", type}, {"sequence_number", sequence_++}};
    event.update(fields);
    append_event(out, event, type);
  }

  std::string final_status() const {
    const std::string& reason = choices_.front().finish_reason();
    return reason == "stop" || reason == "tool_calls" ? "completed" : "incomplete";
  }

  Json response(const std::string& status) const {
    const Json& asked = spec_->shown_request;
    const auto shown = [&](const char* key, const Json& otherwise) {
      return asked.contains(key) ? asked[key] : otherwise;
    };
    const SamplingParams& sampling = spec_->request.sampling;
    const Choice& choice = choices_.front();
    Json json = {{"id", names_.id},
                 {"object", "response"},
                 {"created_at", names_.created},
                 {"status", status},
                 {"background", spec_->background},
                 {"error", nullptr},
                 {"incomplete_details", nullptr},
                 {"instructions", shown("instructions", nullptr)},
                 {"max_output_tokens", shown("max_output_tokens", nullptr)},
                 {"model", names_.model},
                 {"output", output_},
                 {"parallel_tool_calls", spec_->parallel_tool_calls},
                 {"previous_response_id", shown("previous_response_id", nullptr)},
                 {"reasoning", shown("reasoning", nullptr)},
                 {"store", spec_->store},
                 {"temperature", sampling.temperature},
                 {"text", shown("text", {{"format", {{"type", "text"}}}})},
                 {"tool_choice", shown("tool_choice", "auto")},
                 {"tools", shown("tools", Json::array())},
                 {"top_p", sampling.top_p},
                 {"truncation", "disabled"},
                 {"usage", nullptr},
                 {"user", shown("user", nullptr)},
                 {"metadata", shown("metadata", Json::object())}};
    if (status == "incomplete")
      json["incomplete_details"] = {{"reason", choice.finish_reason() == "length"
                                                   ? "max_output_tokens"
                                                   : choice.finish_reason()}};
    if (status == "in_progress") return json;
    const Json usage = usage_json();
    json["usage"] = {{"input_tokens", usage["prompt_tokens"]},
                     {"input_tokens_details",
                      {{"cached_tokens", usage["prompt_tokens_details"]["cached_tokens"]}}},
                     {"output_tokens", usage["completion_tokens"]},
                     {"output_tokens_details", usage["completion_tokens_details"]},
                     {"total_tokens", usage["total_tokens"]}};
    return json;
  }

  Json output_ = Json::array();  // items that are done
  Item open_ = Item::None;
  Json item_;         // the open one
  std::string text_;  // of it, or its arguments
  int sequence_ = 0;
};

}  // namespace

std::unique_ptr<Renderer> make_responses_renderer(std::shared_ptr<const GenerationSpec> spec,
                                                  ResponseNames names, const Tokenizer*) {
  return std::make_unique<ResponsesRenderer>(std::move(spec), std::move(names));
}

}  // namespace millrace::server
