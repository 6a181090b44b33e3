// A model's answer: the first byte chooses the syntax, the second how the text is cut into pieces.
// Whole and in pieces it must say the same, and every argument must be JSON.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json.h"
#include "text/jinja/unicode.h"
#include "text/tool_calls/answer_parser.h"

namespace {

millrace::ParsedAnswer in_pieces(std::string_view text, const millrace::AnswerSyntax& syntax,
                                 bool cut, std::size_t piece) {
  millrace::AnswerParser parser(syntax);
  std::vector<millrace::AnswerEvent> events;
  for (std::size_t at = 0; at < text.size(); at += piece)
    parser.push(text.substr(at, piece), events);
  parser.finish(cut, events);
  millrace::ParsedAnswer answer;
  for (const auto& event : events) answer.add(event);
  answer.drop_void_calls();
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  millrace::AnswerSyntax syntax{.reasoning = (data[0] & 1) == 0,
                                .tool_calls = (data[0] & 2) == 0,
                                .starts_in_reasoning = (data[0] & 4) != 0};
  if ((data[0] & 8) != 0) syntax.tools = {{"f", {"a", "b"}}};
  const bool cut = (data[0] & 16) != 0;
  const auto whole = millrace::parse_answer(text, syntax, cut);
  const auto pieces = in_pieces(text, syntax, cut, 1 + data[1] % 8);
  const bool same = whole.content == pieces.content && whole.reasoning == pieces.reasoning &&
                    whole.problems == pieces.problems && whole.calls.size() == pieces.calls.size();
  if (!same) std::abort();
  const bool valid = millrace::jinja::is_utf8(text);  // a model's text is
  for (std::size_t i = 0; i < whole.calls.size(); ++i) {
    const auto& call = whole.calls[i];
    if (call.name != pieces.calls[i].name || call.arguments != pieces.calls[i].arguments)
      std::abort();
    if (valid && !millrace::parse_json(call.arguments, "arguments")) std::abort();
  }
  return 0;
}
