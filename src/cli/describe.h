// The command line described in other languages, from its own definitions: completion for shells,
// a manual page.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace::cli {

// "bash", "zsh" or "fish".
Result<std::string> completion_script(const CLI::App& app, std::string_view shell);

// millrace(1) in man's language.
std::string manual_page(const CLI::App& app, std::string_view version);

// What both tell of an option: "--load-format", "-t"; whether it takes a value; which ones.
struct OptionText {
  std::vector<std::string> names;    // with their dashes, long ones first; empty for a positional
  std::string text;                  // one line
  std::string value;                 // "TEXT", "INT", ...; empty for a flag
  std::vector<std::string> choices;  // if only these are taken
  std::string group;                 // other than the usual one
};
std::vector<OptionText> option_texts(const CLI::App& app);

}  // namespace millrace::cli
