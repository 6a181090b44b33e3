// Answers in the words of an API: one renderer a request, for streams (server-sent events) and for
// whole bodies. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/generation_spec.h"
#include "api/token_update.h"

namespace millrace::server {

// JSON text; what is not UTF-8 is replaced.
std::string dump(const Json& json);
// Appends "data: ...\n\n", with "event: NAME" before it where a name is given.
void append_event(std::string& out, const Json& data, std::string_view name = {});

// One answer as it grows.
class Choice {
 public:
  Choice(const GenerationSpec& spec, int index);

  // Takes an update; `events` gets what it adds to the answer.
  void take(const TokenUpdate& update, std::vector<AnswerEvent>& events);

  int index() const { return index_; }
  const ParsedAnswer& answer() const { return answer_; }
  // "stop", "length", "tool_calls", ...; empty before the end.
  const std::string& finish_reason() const { return finish_reason_; }
  // A stop string that ended it; empty otherwise.
  const std::string& stop_string() const { return stop_string_; }
  const std::string& error() const { return error_; }
  const Usage& usage() const { return usage_; }
  const std::vector<SampledToken>& tokens() const { return tokens_; }
  std::int64_t reasoning_tokens() const { return reasoning_tokens_; }
  // Null where they are not wanted or not there: the first answer to a prompt brings them.
  const PromptLogprobs* prompt_logprobs() const { return prompt_logprobs_.get(); }
  // A whole call has come, and no second one is wanted: the answer can be ended.
  bool wants_end() const { return wants_end_; }

 private:
  void end(FinishReason reason);

  const GenerationSpec& spec_;
  int index_;
  std::unique_ptr<AnswerParser> parser_;  // unless the answer is plain text
  ParsedAnswer answer_;
  std::vector<SampledToken> tokens_;  // kept where logprobs or token ids are wanted
  std::string finish_reason_, stop_string_, error_;
  std::shared_ptr<const PromptLogprobs> prompt_logprobs_;
  Usage usage_;
  int complete_calls_ = 0;
  bool in_reasoning_ = false;
  bool wants_end_ = false;
  std::int64_t reasoning_tokens_ = 0;
};

struct ResponseNames {
  std::string id;     // "chatcmpl-..."
  std::string model;  // as the response shows it
  std::int64_t created = 0;
};

// What updates brought so far.
struct CallCounts {
  std::uint64_t calls = 0;
  std::uint64_t problems = 0;  // text that looks like a call and is none
};

class Renderer {
 public:
  Renderer(std::shared_ptr<const GenerationSpec> spec, ResponseNames names);
  virtual ~Renderer() = default;

  const GenerationSpec& spec() const { return *spec_; }
  std::vector<Choice>& choices() { return choices_; }

  // For streams: what goes out first, with an update, and at the end.
  virtual void begin(std::string& out) = 0;
  void update(const TokenUpdate& update, std::string& out);
  virtual void end(std::string& out) = 0;
  // A failure in the middle of a stream.
  virtual void fail(const ApiError& error, std::string& out) = 0;

  // For whole bodies: takes an update in.
  void collect(const TokenUpdate& update);
  virtual Json body() const = 0;
  // The body before the answer, for APIs that show it.
  virtual Json begun() const { return nullptr; }

  const CallCounts& call_counts() const { return counts_; }

  // The failure of any choice.
  const std::string* failure() const;

 protected:
  // What one update adds to a stream. `token` is there when it brought one.
  virtual void write(Choice& choice, const TokenUpdate& update,
                     const std::vector<AnswerEvent>& events, std::string& out) = 0;

  Json usage_json() const;
  // What belongs to the choice's prompt.
  std::size_t prompt_index(const Choice& choice) const {
    return static_cast<std::size_t>(choice.index() / spec_->n);
  }
  const std::vector<TokenId>& prompt(const Choice& choice) const {
    return spec_->prompts[prompt_index(choice)];
  }
  const PromptLogprobs* scores(const Choice& choice) const {
    return choices_[prompt_index(choice) * static_cast<std::size_t>(spec_->n)].prompt_logprobs();
  }

  std::shared_ptr<const GenerationSpec> spec_;
  ResponseNames names_;
  std::vector<Choice> choices_;

 private:
  std::vector<AnswerEvent> events_;
  CallCounts counts_;
};

std::unique_ptr<Renderer> make_chat_renderer(std::shared_ptr<const GenerationSpec> spec,
                                             ResponseNames names, const Tokenizer* tokenizer);
std::unique_ptr<Renderer> make_completion_renderer(std::shared_ptr<const GenerationSpec> spec,
                                                   ResponseNames names, const Tokenizer* tokenizer);

std::unique_ptr<Renderer> make_messages_renderer(std::shared_ptr<const GenerationSpec> spec,
                                                 ResponseNames names, const Tokenizer* tokenizer);

std::unique_ptr<Renderer> make_responses_renderer(std::shared_ptr<const GenerationSpec> spec,
                                                  ResponseNames names, const Tokenizer* tokenizer);

// A letter-and-digit text nobody guesses twice, for ids.
std::string random_id();

}  // namespace millrace::server
