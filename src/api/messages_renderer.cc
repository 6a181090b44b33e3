#include "api/renderer.h"
#include "base/json.h"

namespace millrace::server {
namespace {

// Anthropic's Messages: an answer is a row of blocks (thinking, text, tool_use), each of which is
// begun, filled and ended in the stream.
class MessagesRenderer final : public Renderer {
 public:
  using Renderer::Renderer;

  void begin(std::string& out) override {
    Json message = header();
    message["content"] = Json::array();
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    message["usage"] = {{"input_tokens", spec_->prompts.front().size()}, {"output_tokens", 0}};
    append_event(out, {{"type", "message_start"}, {"message", std::move(message)}},
                 "message_start");
  }

  void end(std::string& out) override {
    close_block(out);
    const Choice& choice = choices_.front();
    append_event(
        out,
        {{"type", "message_delta"},
         {"delta",
          {{"stop_reason", stop_reason(choice)}, {"stop_sequence", stop_sequence(choice)}}},
         {"usage", usage()}},
        "message_delta");
    append_event(out, {{"type", "message_stop"}}, "message_stop");
  }

  void fail(const ApiError& error, std::string& out) override {
    append_event(out, anthropic_error_json(error), "error");
  }

  Json body() const override {
    const Choice& choice = choices_.front();
    const ParsedAnswer& answer = choice.answer();
    Json content = Json::array();
    if (!answer.reasoning.empty() && spec_->include_reasoning)
      content.push_back({{"type", "thinking"}, {"thinking", answer.reasoning}, {"signature", ""}});
    if (!answer.content.empty()) content.push_back({{"type", "text"}, {"text", answer.content}});
    for (const ParsedCall& call : answer.calls)
      content.push_back(
          {{"type", "tool_use"},
           {"id", "toolu_" + random_id()},
           {"name", call.name},
           {"input", parse_json(call.arguments, "arguments").value_or(Json::object())}});
    Json message = header();
    message["content"] = std::move(content);
    message["stop_reason"] = stop_reason(choice);
    message["stop_sequence"] = stop_sequence(choice);
    message["usage"] = usage();
    return message;
  }

 private:
  enum class Block { None, Thinking, Text, ToolUse };

  void write(Choice&, const TokenUpdate&, const std::vector<AnswerEvent>& events,
             std::string& out) override {
    for (const AnswerEvent& event : events) {
      switch (event.kind) {
        case AnswerEvent::Kind::Reasoning:
          if (!spec_->include_reasoning) break;
          open_block(Block::Thinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}},
                     out);
          delta({{"type", "thinking_delta"}, {"thinking", event.text}}, out);
          break;
        case AnswerEvent::Kind::Content:
          open_block(Block::Text, {{"type", "text"}, {"text", ""}}, out);
          delta({{"type", "text_delta"}, {"text", event.text}}, out);
          break;
        case AnswerEvent::Kind::CallBegin:
          close_block(out);
          open_block(Block::ToolUse,
                     {{"type", "tool_use"},
                      {"id", "toolu_" + random_id()},
                      {"name", event.text},
                      {"input", Json::object()}},
                     out);
          break;
        case AnswerEvent::Kind::CallArguments:
          delta({{"type", "input_json_delta"}, {"partial_json", event.text}}, out);
          break;
        case AnswerEvent::Kind::CallEnd:
        case AnswerEvent::Kind::Problem:
          close_block(out);
          break;
      }
    }
  }

  void open_block(Block kind, Json block, std::string& out) {
    if (open_ == kind && kind != Block::ToolUse) return;
    close_block(out);
    open_ = kind;
    append_event(
        out,
        {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}},
        "content_block_start");
  }

  void close_block(std::string& out) {
    if (open_ == Block::None) return;
    open_ = Block::None;
    append_event(out, {{"type", "content_block_stop"}, {"index", index_++}}, "content_block_stop");
  }

  void delta(Json delta, std::string& out) const {
    append_event(out,
                 {{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(delta)}},
                 "content_block_delta");
  }

  Json header() const {
    return {{"id", names_.id}, {"type", "message"}, {"role", "assistant"}, {"model", names_.model}};
  }

  static Json stop_reason(const Choice& choice) {
    if (choice.finish_reason() == "length") return "max_tokens";
    if (choice.finish_reason() == "tool_calls") return "tool_use";
    return choice.stop_string().empty() ? "end_turn" : "stop_sequence";
  }
  static Json stop_sequence(const Choice& choice) {
    return choice.stop_string().empty() ? Json() : Json(choice.stop_string());
  }

  Json usage() const {
    const Usage& usage = choices_.front().usage();
    const auto prompt = std::ssize(spec_->prompts.front());
    return {{"input_tokens", prompt - usage.cached_tokens},
            {"cache_read_input_tokens", usage.cached_tokens},
            {"cache_creation_input_tokens", 0},
            {"output_tokens", usage.completion_tokens}};
  }

  Block open_ = Block::None;
  int index_ = 0;  // of the open block, or of the next
};

}  // namespace

std::unique_ptr<Renderer> make_messages_renderer(std::shared_ptr<const GenerationSpec> spec,
                                                 ResponseNames names, const Tokenizer*) {
  return std::make_unique<MessagesRenderer>(std::move(spec), std::move(names));
}

}  // namespace millrace::server
