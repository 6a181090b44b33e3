#include "api/api_error.h"

#include "base/json.h"

namespace millrace::server {

ApiError bad_field(std::string_view field, std::string message) {
  return {.status = 400,
          .message = std::string(field) + ": " + std::move(message),
          .param = std::string(field)};
}

ApiError api_error(const Error& error) {
  ApiError api{.message = error.message};
  switch (error.code) {
    case ErrorCode::InvalidArgument:
    case ErrorCode::Corrupt:
    case ErrorCode::Unsupported:
      break;
    case ErrorCode::TooLarge:
      api.code = "context_length_exceeded";
      break;
    case ErrorCode::NotFound:
      api.status = 404;
      api.type = "not_found_error";
      break;
    case ErrorCode::Unavailable:
    case ErrorCode::Cancelled:
      api.status = 503;
      api.type = "service_unavailable_error";
      break;
  }
  return api;
}

ApiError not_found(std::string_view what) {
  return {.status = 404,
          .message = std::string(what) + " is not here; see docs/server.md for the paths",
          .type = "not_found_error"};
}

ApiError overloaded(int retry_after_seconds) {
  return {.status = 429,
          .message = "the server is full: try again later",
          .type = "rate_limit_error",
          .code = "overloaded",
          .retry_after_seconds = retry_after_seconds};
}

ApiError unavailable(std::string message) {
  return {.status = 503,
          .message = std::move(message),
          .type = "service_unavailable_error",
          .retry_after_seconds = 5};
}

Json error_json(const ApiError& error) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return {{"error",
           {{"message", error.message},
            {"type", error.type},
            {"param", or_null(error.param)},
            {"code", or_null(error.code)}}}};
}

Json anthropic_error_json(const ApiError& error) {
  std::string type = error.type;
  if (error.status == 401) type = "authentication_error";
  if (error.status == 413) type = "request_too_large";
  if (error.status == 503) type = "overloaded_error";
  if (error.status == 500) type = "api_error";
  return {{"type", "error"}, {"error", {{"type", type}, {"message", error.message}}}};
}

}  // namespace millrace::server
