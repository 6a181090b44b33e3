#include "api/renderer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>

#include "base/json.h"

namespace millrace::server {

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_event(std::string& out, const Json& data, std::string_view name) {
  if (!name.empty()) {
    out += "event: ";
    out += name;
    out += '\n';
  }
  out += "data: ";
  out += dump(data);
  out += "\n\n";
}

std::string random_id() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%08llx",
                static_cast<unsigned long long>(random()),
                static_cast<unsigned long long>(random() & 0xffffffff));
  return text.data();
}

Choice::Choice(const GenerationSpec& spec, int index) : spec_(spec), index_(index) {
  if (!spec.parse) return;
  parser_ = std::make_unique<AnswerParser>(spec.syntax);
  in_reasoning_ = spec.syntax.reasoning && spec.syntax.starts_in_reasoning;
}

void Choice::take(const TokenUpdate& update, std::vector<AnswerEvent>& events) {
  events.clear();
  if (!finish_reason_.empty()) return;
  if (update.prompt_logprobs) prompt_logprobs_ = update.prompt_logprobs;
  if (update.token && (spec_.return_token_ids || spec_.request.sampling.logprobs >= 0))
    tokens_.push_back(*update.token);
  if (!wants_end_) {
    if (parser_) {
      parser_->push(update.text, events);
      if (update.finish) parser_->finish(*update.finish == FinishReason::Length, events);
    } else if (!update.text.empty()) {
      events.push_back({AnswerEvent::Kind::Content, -1, update.text});
    }
  }
  const auto ends_call = [](const AnswerEvent& e) { return e.kind == AnswerEvent::Kind::CallEnd; };
  if (!spec_.parallel_tool_calls) {
    const auto end = std::find_if(events.begin(), events.end(), ends_call);
    if (end != events.end()) {
      events.erase(end + 1, events.end());
      wants_end_ = true;
    }
  }
  for (const AnswerEvent& event : events) {
    answer_.add(event);
    in_reasoning_ = event.kind == AnswerEvent::Kind::Reasoning;
    complete_calls_ += ends_call(event);
  }
  if (update.token && in_reasoning_) ++reasoning_tokens_;
  if (!update.finish) return;
  usage_ = update.usage;
  stop_string_ = update.stop_string;
  error_ = update.error;
  end(*update.finish);
}

void Choice::end(FinishReason reason) {
  answer_.drop_void_calls();
  switch (reason) {
    case FinishReason::Stop:
      finish_reason_ = complete_calls_ > 0 ? "tool_calls" : "stop";
      return;
    case FinishReason::Length:
      finish_reason_ = "length";
      return;
    case FinishReason::Cancelled:
      finish_reason_ = wants_end_ ? "tool_calls" : "abort";
      return;
    case FinishReason::TimedOut:
      finish_reason_ = "timeout";
      return;
    case FinishReason::Failed:
      finish_reason_ = "error";
      if (error_.empty()) error_ = "the engine failed";
      return;
  }
}

Renderer::Renderer(std::shared_ptr<const GenerationSpec> spec, ResponseNames names)
    : spec_(std::move(spec)), names_(std::move(names)) {
  choices_.reserve(spec_->choices());
  for (std::size_t i = 0; i < spec_->choices(); ++i)
    choices_.emplace_back(*spec_, static_cast<int>(i));
}

void Renderer::update(const TokenUpdate& update, std::string& out) {
  collect(update);
  write(choices_[static_cast<std::size_t>(update.choice)], update, events_, out);
}

void Renderer::collect(const TokenUpdate& update) {
  choices_[static_cast<std::size_t>(update.choice)].take(update, events_);
  for (const AnswerEvent& event : events_) {
    counts_.calls += event.kind == AnswerEvent::Kind::CallEnd;
    counts_.problems += event.kind == AnswerEvent::Kind::Problem;
  }
}

const std::string* Renderer::failure() const {
  for (const Choice& choice : choices_)
    if (!choice.error().empty()) return &choice.error();
  return nullptr;
}

Json Renderer::usage_json() const {
  std::int64_t prompt = 0, cached = 0, replayed = 0, completion = 0, reasoning = 0;
  std::int64_t guessed = 0, accepted = 0;
  const auto n = static_cast<std::size_t>(spec_->n);
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const Usage& usage = choices_[i].usage();
    completion += usage.completion_tokens;
    reasoning += choices_[i].reasoning_tokens();
    guessed += usage.draft_tokens;
    accepted += usage.accepted_draft_tokens;
    if (i % n != 0) continue;  // a prompt counts once, however many answers it has
    prompt += std::ssize(spec_->prompts[i / n]);
    cached += usage.cached_tokens;
    replayed += usage.replayed_tokens;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion},
          {"prompt_tokens_details", {{"cached_tokens", cached}, {"replayed_tokens", replayed}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", reasoning},
            {"accepted_prediction_tokens", accepted},
            {"rejected_prediction_tokens", guessed - accepted}}}};
}

}  // namespace millrace::server
