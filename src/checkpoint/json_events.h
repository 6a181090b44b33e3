// Reads JSON as a stream of events: headers of checkpoints may be 100 MB long, must not hold a
// name twice, and need no tree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace millrace {

enum class JsonEvent {
  ObjectStart,
  ObjectEnd,
  ArrayStart,
  ArrayEnd,
  Key,       // text: the key
  String,    // text: the value
  Unsigned,  // number: the value
  Other,     // text: "null", "boolean", "negative integer", "number"
};

// "an object", "a string", ...: an event as the beginning of a value, for messages.
std::string_view describe(JsonEvent event, std::string_view text);

class JsonEventReader : private nlohmann::json_sax<Json> {
 public:
  // Sends the events of `text` to on_event() until the first error. Messages begin with `origin`.
  Status read(std::string_view text, std::string_view origin);

 protected:
  JsonEventReader() = default;
  ~JsonEventReader() override = default;

  // An error (without the origin) ends the reading.
  virtual Status on_event(JsonEvent event, std::string_view text, std::uint64_t number) = 0;

 private:
  bool send(JsonEvent event, std::string_view text = {}, std::uint64_t number_value = 0);

  bool null() override { return send(JsonEvent::Other, "null"); }
  bool boolean(bool) override { return send(JsonEvent::Other, "boolean"); }
  bool number_integer(std::int64_t) override { return send(JsonEvent::Other, "negative integer"); }
  bool number_unsigned(std::uint64_t n) override { return send(JsonEvent::Unsigned, {}, n); }
  bool number_float(double, const std::string&) override {
    return send(JsonEvent::Other, "number");
  }
  bool string(std::string& value) override { return send(JsonEvent::String, value); }
  bool binary(Json::binary_t&) override { return send(JsonEvent::Other, "binary"); }
  bool start_object(std::size_t) override { return send(JsonEvent::ObjectStart); }
  bool key(std::string& value) override { return send(JsonEvent::Key, value); }
  bool end_object() override { return send(JsonEvent::ObjectEnd); }
  bool start_array(std::size_t) override { return send(JsonEvent::ArrayStart); }
  bool end_array() override { return send(JsonEvent::ArrayEnd); }
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& e) override;

  std::optional<Error> error_;
};

}  // namespace millrace
