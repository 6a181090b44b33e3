#include "text/jinja/arguments.h"

#include "text/jinja/compare.h"

namespace millrace::jinja {

Bound::Bound(std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters, std::size_t required)
    : function_(function), parameters_(parameters), values_(parameters.size(), nullptr) {
  if (arguments.positional.size() > parameters.size())
    raise("{}: found {} arguments, expected at most {}", function, arguments.positional.size(),
          parameters.size());
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    std::size_t i = 0;
    while (i < parameters_.size() && parameters_[i] != name) ++i;
    if (i == parameters_.size()) raise("{}: unexpected argument '{}'", function, name);
    if (values_[i]) raise("{}: argument '{}' was given twice", function, name);
    values_[i] = &value;
  }
  for (std::size_t i = 0; i < required; ++i)
    if (!values_[i]) raise("{}: argument '{}' is missing", function, parameters_[i]);
}

bool Bound::flag(std::size_t index, bool otherwise) const {
  return has(index) ? truth(*values_[index]) : otherwise;
}

Integer Bound::integer(std::size_t index, Integer otherwise) const {
  if (!has(index)) return otherwise;
  const Value& value = *values_[index];
  if (value.is_undefined()) raise("{}: {}", function_, value.undefined_reason());
  if (!value.is_integral())
    raise("{}: argument '{}' is a {}, expected an integer", function_, parameters_[index],
          type_name(value));
  return value.integer();
}

std::string_view Bound::text(std::size_t index, std::string_view otherwise) const {
  if (!has(index)) return otherwise;
  const Value& value = *values_[index];
  if (value.is_undefined()) raise("{}: {}", function_, value.undefined_reason());
  if (!value.is_str())
    raise("{}: argument '{}' is a {}, expected a string", function_, parameters_[index],
          type_name(value));
  return value.text();
}

}  // namespace millrace::jinja
