#include "text/tool_calls/call_parser.h"

#include <utility>

#include "base/json.h"

namespace millrace {
namespace {

constexpr std::string_view kPythonFollowers = ",)";
constexpr std::string_view kJsonFollowers = ",}";

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) {
  return begins_name(c) || (c >= '0' && c <= '9');
}
// Functions are also called "server.tool" and "get-weather".
bool continues_function(char c) {
  return continues_name(c) || c == '.' || c == '-';
}

std::string quoted(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_arguments_key(std::string_view key) {
  return key == "arguments" || key == "parameters";
}

}  // namespace

bool CallParser::fail(std::string_view problem) {
  if (problem_.empty()) problem_ = problem;
  return false;
}

void CallParser::push(std::string_view text, std::vector<CallEvent>& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (state_ == State::Broken) {
      if (i < text.size()) out.push_back({CallEvent::Kind::Broken, std::string(text.substr(i))});
      return;
    }
    raw_ += text[i];
    if (step(text[i], out)) continue;
    state_ = State::Broken;
    out.push_back({CallEvent::Kind::Broken, std::exchange(raw_, {})});
  }
  emit_arguments(out);
}

void CallParser::finish(bool cut, std::vector<CallEvent>& out) {
  if (state_ == State::Broken) return;
  const bool between = state_ == State::AfterCall || state_ == State::Done ||
                       (state_ == State::Call && complete_ > 0);
  if (between) return;
  // The model stopped of its own will behind a whole argument: only brackets are missing.
  if (!cut && state_ == State::AfterArgument) {
    end_call(out);
    return;
  }
  if (!cut && state_ == State::Value && literal_->finish()) {
    arguments_ += literal_->take();
    end_call(out);
    return;
  }
  fail(cut ? "cut off in the middle of a call" : "the call does not end");
  state_ = State::Broken;
  out.push_back({CallEvent::Kind::Broken, std::exchange(raw_, {})});
}

void CallParser::emit_arguments(std::vector<CallEvent>& out) {
  if (literal_ && name_sent_ && (state_ == State::Value || state_ == State::JsonValue) &&
      (state_ == State::Value || (is_arguments_key(word_) && !was_string_)))
    arguments_ += literal_->take();
  if (!name_sent_ || arguments_.empty()) return;
  out.push_back({CallEvent::Kind::Arguments, std::exchange(arguments_, {})});
}

bool CallParser::begin_value(std::string_view name) {
  if (!seen_.emplace(name).second) return fail("an argument is given twice");
  arguments_ += position_++ == 0 ? "" : ", ";
  arguments_ += quoted(name) + ": ";
  literal_.emplace(LiteralSyntax::PythonText, kPythonFollowers);
  state_ = State::Value;
  return true;
}

bool CallParser::end_call(std::vector<CallEvent>& out) {
  arguments_ += '}';
  literal_.reset();
  emit_arguments(out);
  out.push_back({CallEvent::Kind::End, {}});
  ++complete_;
  name_sent_ = false;
  raw_.clear();
  state_ = State::AfterCall;
  return true;
}

bool CallParser::step(char c, std::vector<CallEvent>& out) {
  switch (state_) {
    case State::Start:
    case State::Done:
      if (is_space(c)) return true;
      if (c == '[') {
        in_list_ = true;
        state_ = State::Call;
        return true;
      }
      if (state_ == State::Done) return fail("text behind the calls");
      in_list_ = false;
      [[fallthrough]];
    case State::Call:
      if (is_space(c)) return true;
      if (c == '{') {
        name_.clear();
        name_sent_ = json_arguments_seen_ = false;
        arguments_.clear();
        seen_.clear();
        json_depth_ = 1;
        state_ = State::JsonKey;
        return true;
      }
      if (c == ']' && in_list_) {
        if (complete_ == 0) return fail("an empty list of calls");
        state_ = State::Done;
        return true;
      }
      if (!begins_name(c)) return fail("not the beginning of a call");
      name_.assign(1, c);
      state_ = State::Name;
      return true;
    case State::Name:
      if (continues_function(c)) {
        name_ += c;
        return true;
      }
      state_ = State::NameEnd;
      [[fallthrough]];
    case State::NameEnd:
      if (is_space(c)) return true;
      if (c != '(') return fail("a function's name without (");
      if (name_.back() == '.' || name_.back() == '-') return fail("not a function's name");
      out.push_back({CallEvent::Kind::Begin, name_});
      name_sent_ = true;
      arguments_ = "{";
      seen_.clear();
      position_ = 0;
      state_ = State::Argument;
      return true;
    case State::Argument:
      if (is_space(c)) return true;
      if (c == ')') return end_call(out);
      if (begins_name(c)) {
        word_.assign(1, c);
        state_ = State::ArgumentName;
        return true;
      }
      word_.clear();
      return json_step(c, out);
    case State::ArgumentName:
      if (continues_name(c)) {
        word_ += c;
        return true;
      }
      state_ = State::ArgumentEqual;
      [[fallthrough]];
    case State::ArgumentEqual:
      if (is_space(c)) return true;
      if (c == '=') return begin_value(word_);
      return json_step(c, out);
    case State::Value:
      switch (literal_->push(c)) {
        case LiteralParser::Step::More:
          return true;
        case LiteralParser::Step::Failed:
          return fail(literal_->problem());
        case LiteralParser::Step::Ended:
          arguments_ += literal_->take();
          literal_.reset();
          state_ = State::AfterArgument;
          break;
      }
      [[fallthrough]];
    case State::AfterArgument:
      if (is_space(c)) return true;
      if (c == ')') return end_call(out);
      if (c != ',') return fail("a comma or ) is missing");
      state_ = State::Argument;
      return true;
    case State::AfterCall:
      if (is_space(c)) return true;
      raw_.assign(1, c);
      if (c == ',' || (!in_list_ && c == ';')) {
        state_ = State::Call;
        return true;
      }
      if (c == ']' && in_list_) {
        state_ = State::Done;
        return true;
      }
      if (!in_list_ && (begins_name(c) || c == '{')) {  // one call a line
        state_ = State::Call;
        return step(c, out);
      }
      return fail("a comma or ] is missing between calls");
    case State::JsonKey:
    case State::JsonKeyText:
    case State::JsonColon:
    case State::JsonValue:
    case State::JsonAfter:
      return json_step(c, out);
    case State::Broken:
      break;
  }
  return false;
}

bool CallParser::json_step(char c, std::vector<CallEvent>& out) {
  switch (state_) {
    // A value without a name: the tool's parameters name it by its place.
    case State::Argument:
    case State::ArgumentEqual: {
      const auto tool = tools_ ? tools_->find(name_) : ToolParameters::const_iterator();
      if (!tools_ || tool == tools_->end() || position_ >= tool->second.size())
        return fail("an argument without a name");
      if (position_ > 0 && !seen_.contains(tool->second[position_ - 1]))
        return fail("an argument without a name behind named ones");
      const std::string written = std::exchange(word_, {});
      if (!begin_value(tool->second[position_])) return false;
      for (const char w : written)
        if (literal_->push(w) != LiteralParser::Step::More)
          return fail("an argument without a name");
      return step(c, out);
    }
    case State::JsonKey:
      if (is_space(c)) return true;
      if (c == '}') {
        state_ = State::JsonAfter;
        return json_step(c, out);
      }
      if (c != '"' && c != '\'') return fail("a key is missing");
      word_.assign(1, c);  // the quote, until the key is complete
      state_ = State::JsonKeyText;
      return true;
    case State::JsonKeyText:
      if (c == word_.front()) {
        word_.erase(0, 1);
        if (!seen_.insert(word_).second) return fail("a key is given twice");
        state_ = State::JsonColon;
        return true;
      }
      if (word_.size() > 64 || c == '\\') return fail("an unknown key");
      word_ += c;
      return true;
    case State::JsonColon:
      if (is_space(c)) return true;
      if (c != ':') return fail("a colon is missing");
      literal_.emplace(LiteralSyntax::JsonText, kJsonFollowers);
      value_begun_ = was_string_ = false;
      state_ = State::JsonValue;
      return true;
    case State::JsonValue: {
      if (!value_begun_ && !is_space(c)) {
        value_begun_ = true;
        was_string_ = c == '"' || c == '\'';
        if (word_ == "function" && json_depth_ == 1 && c == '{') {
          json_depth_ = 2;
          seen_.clear();
          state_ = State::JsonKey;
          return true;
        }
        if (is_arguments_key(word_) && !was_string_ && c != '{')
          return fail("arguments that are no object");
      }
      switch (literal_->push(c)) {
        case LiteralParser::Step::More:
          return true;
        case LiteralParser::Step::Failed:
          return fail(literal_->problem());
        case LiteralParser::Step::Ended:
          break;
      }
      if (!end_json_value(out)) return false;
      state_ = State::JsonAfter;
      return json_step(c, out);
    }
    case State::JsonAfter:
      if (is_space(c)) return true;
      if (c == ',') {
        state_ = State::JsonKey;
        return true;
      }
      if (c != '}') return fail("a comma or } is missing");
      if (json_depth_ == 2) {
        json_depth_ = 1;
        return true;
      }
      if (!name_sent_) return fail("a call without a name");
      if (!json_arguments_seen_) arguments_ += "{}";
      emit_arguments(out);
      out.push_back({CallEvent::Kind::End, {}});
      ++complete_;
      name_sent_ = false;
      raw_.clear();
      state_ = State::AfterCall;
      return true;
    default:
      return false;
  }
}

bool CallParser::end_json_value(std::vector<CallEvent>& out) {
  const std::string text = literal_->take();
  literal_.reset();
  const bool name = word_ == "name" || (word_ == "function" && json_depth_ == 1);
  if (name) {
    if (!was_string_ || name_sent_) return fail("a name that is no text");
    const auto value = parse_json(text, "name");
    if (!value || !value->is_string() || value->get_ref<const std::string&>().empty())
      return fail("a name that is no text");
    name_ = value->get<std::string>();
    out.push_back({CallEvent::Kind::Begin, name_});
    name_sent_ = true;
    emit_arguments(out);
    return true;
  }
  if (!is_arguments_key(word_)) return true;  // "id", "type": ours are made elsewhere
  if (json_arguments_seen_) return fail("arguments are given twice");
  json_arguments_seen_ = true;
  if (!was_string_) {
    arguments_ += text;
    return true;
  }
  // JSON inside a string, as OpenAI's wire format has it.
  const auto inner = parse_json(text, "arguments");
  if (!inner || !inner->is_string()) return fail("arguments that are no object");
  const auto object = parse_json(inner->get_ref<const std::string&>(), "arguments");
  if (!object || !object->is_object()) return fail("arguments that are no object");
  arguments_ += inner->get<std::string>();
  return true;
}

}  // namespace millrace
