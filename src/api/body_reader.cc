#include "api/body_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace millrace::server {

BodyReader::BodyReader(const Json& object, std::string prefix)
    : body_(object), prefix_(std::move(prefix)) {
  if (object.is_object()) return;
  std::string where = prefix_.empty() ? "the body" : prefix_.substr(0, prefix_.size() - 1);
  fail({.message = fmt::format("{}: found {}, expected an object", where, json_type_name(object)),
        .param = prefix_.empty() ? std::string() : std::move(where)});
}

const Json* BodyReader::any(std::string_view name) {
  known_.emplace(name);
  return failed() ? nullptr : json_find(body_, name);
}

void BodyReader::wrong_type(std::string_view name, const Json& found, std::string_view expected) {
  fail(name, fmt::format("found {}, expected {}", json_type_name(found), expected));
}

std::optional<std::int64_t> BodyReader::integer(std::string_view name, std::int64_t low,
                                                std::int64_t high) {
  const Json* value = any(name);
  if (!value) return std::nullopt;
  std::int64_t number = 0;
  // Clients of languages without integers send 1.0.
  const bool whole = value->is_number_float() &&
                     std::floor(value->get<double>()) == value->get<double>() &&
                     std::abs(value->get<double>()) < 9e15;
  if (!value->is_number_integer() && !whole) {
    wrong_type(name, *value, "an integer");
    return std::nullopt;
  }
  const bool beyond =
      value->is_number_unsigned() && value->get<std::uint64_t>() > std::uint64_t{INT64_MAX};
  number = whole ? static_cast<std::int64_t>(value->get<double>()) : value->get<std::int64_t>();
  if (beyond || number < low || number > high) {
    fail(name,
         fmt::format("found {}, expected an integer from {} to {}", value->dump(), low, high));
    return std::nullopt;
  }
  return number;
}

std::optional<double> BodyReader::number(std::string_view name, double low, double high) {
  const Json* value = any(name);
  if (!value) return std::nullopt;
  if (!value->is_number()) {
    wrong_type(name, *value, "a number");
    return std::nullopt;
  }
  const double number = value->get<double>();
  if (!(number >= low && number <= high)) {
    fail(name, fmt::format("found {}, expected a number from {} to {}", value->dump(), low, high));
    return std::nullopt;
  }
  return number;
}

std::optional<bool> BodyReader::boolean(std::string_view name) {
  const Json* value = any(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) {
    wrong_type(name, *value, "true or false");
    return std::nullopt;
  }
  return value->get<bool>();
}

std::optional<std::string> BodyReader::text(std::string_view name) {
  const Json* value = any(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) {
    wrong_type(name, *value, "a string");
    return std::nullopt;
  }
  return value->get<std::string>();
}

const Json* BodyReader::object(std::string_view name) {
  const Json* value = any(name);
  if (!value || value->is_object()) return value;
  wrong_type(name, *value, "an object");
  return nullptr;
}

const Json* BodyReader::list(std::string_view name, std::size_t most) {
  const Json* value = any(name);
  if (!value) return nullptr;
  if (!value->is_array()) {
    wrong_type(name, *value, "a list");
    return nullptr;
  }
  if (value->size() > most) {
    fail(name, fmt::format("found {} entries, the limit is {}", value->size(), most));
    return nullptr;
  }
  return value;
}

void BodyReader::ignore(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) known_.emplace(name);
}

void BodyReader::only(std::string_view name, std::initializer_list<Json> accepted,
                      std::string_view why) {
  const Json* value = any(name);
  if (!value || std::find(accepted.begin(), accepted.end(), *value) != accepted.end()) return;
  fail(name, std::string(why));
}

void BodyReader::fail(std::string_view name, std::string message) {
  fail(bad_field(full(name), std::move(message)));
}

void BodyReader::fail(ApiError error) {
  if (!error_) error_ = std::move(error);
}

std::optional<ApiError> BodyReader::finish() {
  if (error_) return error_;
  for (const auto& [name, value] : body_.items())
    if (!known_.contains(name)) {
      constexpr std::size_t kMostShown = 100;
      fail(name.substr(0, kMostShown), "is no parameter that this server knows");
      break;
    }
  return error_;
}

}  // namespace millrace::server
