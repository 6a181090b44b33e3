#include "text/jinja/template.h"

#include <new>

#include "text/jinja/globals.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/json_text.h"
#include "text/jinja/parser.h"
#include "text/jinja/unicode.h"

namespace millrace {
namespace {

tl::unexpected<Error> error_of(std::string_view origin, const jinja::Failure& failure, int line) {
  if (failure.line > 0) line = failure.line;
  // One line in logs, whatever text a template raises.
  std::string message = failure.message;
  for (char& c : message)
    if (c == '\n' || c == '\r') c = ' ';
  if (line > 0) return fail(failure.code, "{}: line {}: {}", origin, line, message);
  return fail(failure.code, "{}: {}", origin, message);
}

}  // namespace

struct JinjaTemplate::Parsed {
  std::string origin;
  JinjaLimits limits;
  jinja::ast::Body body;
};

Result<JinjaTemplate> JinjaTemplate::parse(std::string_view source, std::string_view origin,
                                           const JinjaLimits& limits) {
  if (source.size() > limits.template_bytes)
    return fail(ErrorCode::TooLarge, "{}: a template of {} bytes, the limit is {}", origin,
                source.size(), limits.template_bytes);
  if (!jinja::is_utf8(source))
    return fail(ErrorCode::Corrupt, "{}: the template is not valid UTF-8", origin);
  try {
    auto parsed = std::make_shared<Parsed>();
    parsed->origin = origin;
    parsed->limits = limits;
    parsed->body = jinja::parse_template(source, limits);
    return JinjaTemplate(std::move(parsed));
  } catch (const jinja::Failure& failure) {
    return error_of(origin, failure, 0);
  }
}

Result<std::string> JinjaTemplate::render(const JinjaVariables& variables, LocalTime now) const {
  // First, and so destroyed last: values give their bytes back to it.
  jinja::Heap heap(parsed_->limits);
  auto globals = std::make_shared<jinja::Scope>(nullptr);
  try {
    jinja::define_globals(heap, *globals, now);
    for (const auto& [name, json] : variables) globals->set(name, jinja::from_json(heap, *json));
  } catch (const jinja::Failure& failure) {
    return error_of(parsed_->origin, failure, 0);
  }
  jinja::Interpreter interpreter(heap, std::make_shared<jinja::Scope>(std::move(globals)));
  try {
    return interpreter.run(parsed_->body);
  } catch (const jinja::Failure& failure) {
    return error_of(parsed_->origin, failure, interpreter.line());
  }
}

}  // namespace millrace
