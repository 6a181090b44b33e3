// Typed reads from a request's body. Every field is read by name; what nobody read is refused by
// name at the end, so that no parameter is ignored in silence.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_error.h"
#include "base/json.h"

namespace millrace::server {

// Keeps the first problem; after it every read gives nothing.
class BodyReader {
 public:
  // `prefix` stands before names in messages: "stream_options.".
  explicit BodyReader(const Json& object, std::string prefix = {});

  // Null is like absent throughout.
  const Json* any(std::string_view name);
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t low, std::int64_t high);
  std::optional<double> number(std::string_view name, double low, double high);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string> text(std::string_view name);
  const Json* object(std::string_view name);
  const Json* list(std::string_view name, std::size_t most);

  // Fields with no meaning here, accepted with any value.
  void ignore(std::initializer_list<std::string_view> names);
  // A field that may only say what Millrace does anyway; `why` tells what is missing.
  void only(std::string_view name, std::initializer_list<Json> accepted, std::string_view why);

  void fail(std::string_view name, std::string message);
  void fail(ApiError error);
  bool failed() const { return error_.has_value(); }

  // The first problem, or the first field that was never asked for.
  std::optional<ApiError> finish();

 private:
  std::string full(std::string_view name) const { return prefix_ + std::string(name); }
  void wrong_type(std::string_view name, const Json& found, std::string_view expected);

  const Json& body_;
  std::string prefix_;
  std::set<std::string, std::less<>> known_;
  std::optional<ApiError> error_;
};

}  // namespace millrace::server
