// Errors as HTTP answers: status, and a body in OpenAI's shape.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "base/error.h"
#include "base/json_fwd.h"

namespace millrace::server {

struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param = {};  // the field it is about; empty: none
  std::string code = {};   // such as "model_not_found"; empty: none
  int retry_after_seconds = 0;
};

template <typename T>
using ApiResult = tl::expected<T, ApiError>;

inline tl::unexpected<ApiError> api_fail(ApiError error) {
  return tl::unexpected<ApiError>(std::move(error));
}

// A refused request field.
ApiError bad_field(std::string_view field, std::string message);
// What the engine or a lower room refused: the code decides the status.
ApiError api_error(const Error& error);

ApiError not_found(std::string_view what);
ApiError overloaded(int retry_after_seconds);
ApiError unavailable(std::string message);

// {"error": {"message", "type", "param", "code"}}
Json error_json(const ApiError& error);
// {"type": "error", "error": {"type", "message"}}: Anthropic's shape.
Json anthropic_error_json(const ApiError& error);

}  // namespace millrace::server
