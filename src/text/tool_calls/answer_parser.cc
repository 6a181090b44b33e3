#include "text/tool_calls/answer_parser.h"

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace millrace {
namespace {

constexpr std::string_view kThink = "<think>";
constexpr std::string_view kEndThink = "</think>";
constexpr std::string_view kCalls = "<|tool_call_start|>";
constexpr std::string_view kEndCalls = "<|tool_call_end|>";
// Longer blocks are not compared with what follows them.
constexpr std::size_t kMostEcho = 64 << 10;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view strip_front(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

}  // namespace

AnswerParser::AnswerParser(AnswerSyntax syntax) : syntax_(std::move(syntax)) {
  if (syntax_.reasoning && syntax_.starts_in_reasoning) state_ = State::Reasoning;
  if (syntax_.reasoning) marks_.insert(marks_.end(), {kThink, kEndThink});
  if (syntax_.tool_calls) marks_.insert(marks_.end(), {kCalls, kEndCalls});
}

void AnswerParser::push(std::string_view text, std::vector<AnswerEvent>& out) {
  // Marks may be cut anywhere: what could become one waits in held_.
  const std::string all = std::exchange(held_, {}) + std::string(text);
  std::string_view rest = all;
  std::size_t plain_end = 0;
  while (plain_end < rest.size()) {
    plain_end = rest.find('<', plain_end);
    if (plain_end == std::string_view::npos) {
      plain_end = rest.size();
      break;
    }
    const std::string_view here = rest.substr(plain_end);
    const auto found = std::find_if(marks_.begin(), marks_.end(),
                                    [&](std::string_view m) { return here.starts_with(m); });
    if (found != marks_.end()) {
      plain(rest.substr(0, plain_end), out);
      mark(*found, out);
      rest.remove_prefix(plain_end + found->size());
      plain_end = 0;
      continue;
    }
    const bool may_become = std::any_of(marks_.begin(), marks_.end(), [&](std::string_view m) {
      return here.size() < m.size() && m.starts_with(here);
    });
    if (may_become) {
      held_ = here;
      break;
    }
    ++plain_end;
  }
  plain(rest.substr(0, std::min(plain_end, rest.size())), out);
}

void AnswerParser::finish(bool cut, std::vector<AnswerEvent>& out) {
  plain(std::exchange(held_, {}), out);
  if (state_ == State::Call) end_block(cut, "", out);
  flush_echo(out);
  space_.clear();
}

void AnswerParser::plain(std::string_view text, std::vector<AnswerEvent>& out) {
  if (text.empty()) return;
  switch (state_) {
    case State::Start:  // white space may stand before <think>
    case State::AfterReasoning: {
      const std::string_view rest = strip_front(text);
      if (state_ == State::Start) space_ += text.substr(0, text.size() - rest.size());
      if (rest.empty()) return;
      state_ = State::Content;
      content(std::exchange(space_, {}) + std::string(rest), out);
      return;
    }
    case State::Reasoning: {
      // Leading white space is skipped, trailing one waits for </think>.
      std::string all = std::exchange(space_, {}) + std::string(text);
      if (!thought_begun_) all = std::string(strip_front(all));
      std::size_t end = all.size();
      while (end > 0 && is_space(all[end - 1])) --end;
      space_ = all.substr(end);
      all.resize(end);
      if (all.empty()) return;
      thought_begun_ = true;
      out.push_back({AnswerEvent::Kind::Reasoning, -1, std::move(all)});
      return;
    }
    case State::Content:
      content(text, out);
      return;
    case State::Call:
      if (block_.size() <= kMostEcho) block_ += text;
      calls_.push(text, call_events_);
      forward_calls(out);
      return;
  }
}

void AnswerParser::content(std::string_view text, std::vector<AnswerEvent>& out) {
  if (!may_echo_) {
    if (!text.empty()) out.push_back({AnswerEvent::Kind::Content, -1, std::string(text)});
    return;
  }
  echo_ += text;
  // As long as it may be a second copy of the calls it waits: see mark().
  if (!strip(block_).starts_with(strip(echo_))) flush_echo(out);
}

void AnswerParser::flush_echo(std::vector<AnswerEvent>& out) {
  may_echo_ = false;
  if (!echo_.empty()) out.push_back({AnswerEvent::Kind::Content, -1, std::exchange(echo_, {})});
}

void AnswerParser::mark(std::string_view mark, std::vector<AnswerEvent>& out) {
  if (state_ == State::Call) {
    if (mark == kEndCalls) {
      end_block(false, mark, out);
    } else if (mark == kCalls) {  // the end mark is missing
      end_block(false, "", out);
      this->mark(mark, out);
    } else {
      plain(mark, out);
    }
    return;
  }
  if (mark == kCalls) {
    // A call ends a thought that was not closed.
    if (state_ == State::Start) content(std::exchange(space_, {}), out);
    space_.clear();
    flush_echo(out);
    state_ = State::Call;
    calls_ = CallParser(&syntax_.tools);
    block_.clear();
    broken_ = false;
    return;
  }
  if (mark == kEndCalls) {
    // An end without a beginning: models sometimes write the calls twice. The copy is dropped.
    if (state_ == State::Reasoning) return;
    if (may_echo_ && strip(echo_) == strip(block_)) echo_.clear();
    flush_echo(out);
    return;
  }
  if (mark == kThink) {
    if (state_ == State::Start || state_ == State::AfterReasoning) {
      space_.clear();
      state_ = State::Reasoning;
      return;
    }
    if (state_ == State::Reasoning && !thought_begun_) return;  // prompt and model both opened it
    plain(mark, out);
    return;
  }
  // </think>
  if (state_ == State::Reasoning) {
    space_.clear();
    state_ = State::AfterReasoning;
    return;
  }
  if (state_ == State::Start) {  // an empty thought
    space_.clear();
    state_ = State::AfterReasoning;
    return;
  }
  plain(mark, out);
}

void AnswerParser::forward_calls(std::vector<AnswerEvent>& out) {
  for (CallEvent& event : call_events_) {
    switch (event.kind) {
      case CallEvent::Kind::Begin:
        call_open_ = true;
        out.push_back({AnswerEvent::Kind::CallBegin, next_call_, std::move(event.text)});
        break;
      case CallEvent::Kind::Arguments:
        out.push_back({AnswerEvent::Kind::CallArguments, next_call_, std::move(event.text)});
        break;
      case CallEvent::Kind::End:
        call_open_ = false;
        out.push_back({AnswerEvent::Kind::CallEnd, next_call_++, {}});
        break;
      case CallEvent::Kind::Broken:
        if (!broken_) {
          broken_ = true;
          out.push_back(
              {AnswerEvent::Kind::Problem, call_open_ ? next_call_++ : -1, calls_.problem()});
          call_open_ = false;
          out.push_back({AnswerEvent::Kind::Content, -1, std::string(kCalls)});
        }
        out.push_back({AnswerEvent::Kind::Content, -1, std::move(event.text)});
        break;
    }
  }
  call_events_.clear();
}

void AnswerParser::end_block(bool cut, std::string_view end_mark, std::vector<AnswerEvent>& out) {
  calls_.finish(cut, call_events_);
  forward_calls(out);
  if (broken_ && !end_mark.empty())
    out.push_back({AnswerEvent::Kind::Content, -1, std::string(end_mark)});
  may_echo_ = !broken_ && block_.size() <= kMostEcho;
  state_ = State::Content;
}

void ParsedAnswer::add(const AnswerEvent& event) {
  switch (event.kind) {
    case AnswerEvent::Kind::Reasoning:
      reasoning += event.text;
      return;
    case AnswerEvent::Kind::Content:
      content += event.text;
      return;
    case AnswerEvent::Kind::CallBegin:
      calls.push_back({event.text, {}});
      return;
    case AnswerEvent::Kind::CallArguments:
      calls.back().arguments += event.text;
      return;
    case AnswerEvent::Kind::CallEnd:
      return;
    case AnswerEvent::Kind::Problem:
      problems.push_back(event.text);
      if (event.call >= 0) void_calls_.push_back(event.call);
      return;
  }
}

void ParsedAnswer::drop_void_calls() {
  for (auto it = void_calls_.rbegin(); it != void_calls_.rend(); ++it)
    calls.erase(calls.begin() + *it);
  void_calls_.clear();
}

ParsedAnswer parse_answer(std::string_view text, const AnswerSyntax& syntax, bool cut) {
  AnswerParser parser(syntax);
  std::vector<AnswerEvent> events;
  parser.push(text, events);
  parser.finish(cut, events);
  ParsedAnswer answer;
  for (const AnswerEvent& event : events) answer.add(event);
  answer.drop_void_calls();
  return answer;
}

ToolParameters tool_parameters(const Json& tools) {
  ToolParameters found;
  if (!tools.is_array()) return found;
  for (const Json& tool : tools) {
    const Json* function = json_find(tool, "function");
    if (!function) function = &tool;
    const Json* name = json_find(*function, "name");
    if (!name || !name->is_string()) continue;
    std::vector<std::string>& names = found[name->get<std::string>()];
    const Json* parameters = json_find(*function, "parameters");
    const Json* properties = parameters ? json_find(*parameters, "properties") : nullptr;
    if (!properties || !properties->is_object()) continue;
    for (const auto& [key, value] : properties->items()) names.push_back(key);
  }
  return found;
}

}  // namespace millrace
