#include "checkpoint/json_events.h"

#include "base/json.h"
#include "checkpoint/tensor_entry.h"

namespace millrace {

std::string_view describe(JsonEvent event, std::string_view text) {
  switch (event) {
    case JsonEvent::ObjectStart:
    case JsonEvent::ObjectEnd:
      return "an object";
    case JsonEvent::ArrayStart:
    case JsonEvent::ArrayEnd:
      return "an array";
    case JsonEvent::Key:
      return "a key";
    case JsonEvent::String:
      return "a string";
    case JsonEvent::Unsigned:
      return "an integer";
    case JsonEvent::Other:
      break;
  }
  return text;
}

Status JsonEventReader::read(std::string_view text, std::string_view origin) {
  error_.reset();
  const bool good = Json::sax_parse(text, static_cast<nlohmann::json_sax<Json>*>(this));
  if (error_) return fail_in(origin, *error_);
  if (!good) return fail(ErrorCode::Corrupt, "{}: not valid JSON", origin);
  return {};
}

bool JsonEventReader::send(JsonEvent event, std::string_view text, std::uint64_t number_value) {
  Status status = on_event(event, text, number_value);
  if (!status) error_ = std::move(status).error();
  return !error_;
}

bool JsonEventReader::parse_error(std::size_t position, const std::string& token,
                                  const nlohmann::detail::exception&) {
  // The parser's own message quotes all it last read, which may be megabytes.
  error_ = Error{ErrorCode::Corrupt, fmt::format("not valid JSON: unexpected \"{}\" at byte {}",
                                                 printable(token), position)};
  return false;
}

}  // namespace millrace
