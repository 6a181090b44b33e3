// The text between the quotes of a string in a template, with Python's escapes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::jinja {

// Nothing when an escape is malformed, with `error` saying how.
std::optional<std::string> unescaped(std::string_view source, std::string& error);

}  // namespace millrace::jinja
