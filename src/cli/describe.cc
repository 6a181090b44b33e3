#include "cli/describe.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"

namespace millrace::cli {
namespace {

// A command with its place on the command line: "bench serve".
struct Place {
  std::string path;  // "" for the program itself
  const CLI::App* app;
};

void collect(const CLI::App& app, const std::string& path, std::vector<Place>& places) {
  places.push_back({path, &app});
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!child->get_name().empty())
      collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), places);
}

std::vector<Place> all_places(const CLI::App& app) {
  std::vector<Place> places;
  collect(app, "", places);
  return places;
}

std::vector<std::string> child_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!child->get_name().empty()) names.push_back(child->get_name());
  return names;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// Within single quotes of a shell.
std::string shell_quoted(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out;
}

std::string bash_script(const CLI::App& app) {
  std::string steps, words, values;
  for (const Place& place : all_places(app)) {
    if (!place.path.empty()) {
      const auto last = place.path.rfind(' ');
      const std::string parent = last == std::string::npos ? "" : place.path.substr(0, last);
      steps += fmt::format("      '{}|{}') command='{}' ;;\n", parent, place.app->get_name(),
                           place.path);
    }
    std::vector<std::string> all = child_names(*place.app);
    for (const OptionText& option : option_texts(*place.app)) {
      all.insert(all.end(), option.names.begin(), option.names.end());
      if (option.choices.empty() || option.names.empty()) continue;
      std::string patterns;
      for (const std::string& name : option.names)
        patterns += fmt::format("{}'{}|{}'", patterns.empty() ? "" : "|", place.path, name);
      values += fmt::format("    {}) words='{}' ;;\n", patterns,
                            shell_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    }
    words += fmt::format("      '{}') words='{}' ;;\n", place.path,
                         shell_quoted(fmt::format("{}", fmt::join(all, " "))));
  }
  return "# bash completion for millrace, written by `millrace completion bash`\n"
         "_millrace() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local command='' words='' i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"$command|${COMP_WORDS[i]}\" in\n" +
         steps +
         "    esac\n"
         "  done\n"
         "  case \"$command|$previous\" in\n" +
         values + "    *) case \"$command\" in\n" + words +
         "    esac ;;\n"
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\n"
         "complete -o default -F _millrace millrace\n";
}

std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return shell_quoted(out);
}

std::string zsh_script(const CLI::App& app) {
  std::string cases;
  for (const Place& place : all_places(app)) {
    cases += fmt::format("  ('{}')\n", place.path);
    const std::vector<std::string> children = child_names(*place.app);
    if (!children.empty()) {
      cases += "    commands=(";
      for (const CLI::App* child : place.app->get_subcommands([](const CLI::App*) { return true; }))
        if (!child->get_name().empty())
          cases += fmt::format(" '{}:{}'", child->get_name(),
                               zsh_text(first_line(child->get_description())));
      cases += " )\n";
    }
    cases += "    arguments=(";
    for (const OptionText& option : option_texts(*place.app))
      for (const std::string& name : option.names) {
        cases += fmt::format(" \\\n      '{}[{}]", name, zsh_text(option.text));
        if (!option.choices.empty())
          cases += fmt::format(":value:({})",
                               shell_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
        else if (!option.value.empty())
          cases += ":value:_files";
        cases += "'";
      }
    cases += " )\n    ;;\n";
  }
  std::string paths;
  for (const Place& place : all_places(app))
    if (!place.path.empty()) paths += fmt::format(" '{}'", place.path);
  return "#compdef millrace\n# written by `millrace completion zsh`\n"
         "_millrace() {\n"
         "  local command='' word\n"
         "  local -a commands arguments paths\n"
         "  paths=(" +
         paths +
         " )\n"
         "  for word in ${words[2,CURRENT-1]}; do\n"
         "    local next=\"${command:+$command }$word\"\n"
         "    (( ${paths[(Ie)$next]} )) && command=$next\n"
         "  done\n"
         "  case $command in\n" +
         cases +
         "  esac\n"
         "  if (( $#commands )) && [[ $words[CURRENT] != -* ]]; then\n"
         "    _describe command commands\n"
         "  fi\n"
         "  _arguments -s $arguments '*:file:_files'\n"
         "}\n"
         "_millrace \"$@\"\n";
}

std::string fish_script(const CLI::App& app) {
  std::string out = "# fish completion for millrace, written by `millrace completion fish`\n";
  for (const Place& place : all_places(app)) {
    // Here, and in none of the commands below.
    std::string where;
    if (place.path.empty()) {
      where = "__fish_use_subcommand";
    } else {
      where = "__fish_seen_subcommand_from ";
      for (const char c : place.path)
        where += c == ' ' ? "; and __fish_seen_subcommand_from " : std::string(1, c);
      const auto children = child_names(*place.app);
      if (!children.empty())
        where += fmt::format("; and not __fish_seen_subcommand_from {}", fmt::join(children, " "));
    }
    for (const CLI::App* child : place.app->get_subcommands([](const CLI::App*) { return true; }))
      if (!child->get_name().empty())
        out += fmt::format("complete -c millrace -n '{}' -f -a {} -d '{}'\n", where,
                           child->get_name(), shell_quoted(first_line(child->get_description())));
    for (const OptionText& option : option_texts(*place.app)) {
      if (option.names.empty()) continue;
      out += fmt::format("complete -c millrace -n '{}'", where);
      for (const std::string& name : option.names)
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.choices.empty())
        out += fmt::format(" -x -a '{}'",
                           shell_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
      else if (!option.value.empty())
        out += " -r";
      out += fmt::format(" -d '{}'\n", shell_quoted(option.text));
    }
  }
  return out;
}

}  // namespace

std::vector<OptionText> option_texts(const CLI::App& app) {
  std::vector<OptionText> texts;
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    OptionText text;
    for (const std::string& name : option->get_lnames()) text.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) text.names.push_back("-" + name);
    text.text = option->get_description();
    std::replace(text.text.begin(), text.text.end(), '\n', ' ');
    if (option->get_type_size_max() > 0) {
      // "TEXT:{auto,dummy}": the type, and what the checks want.
      const std::string type = option->get_type_name();
      text.value = type.substr(0, type.find_first_of(": {"));
      if (text.value.empty()) text.value = "VALUE";
      const auto open = type.find('{'), close = type.rfind('}');
      if (open != std::string::npos && close > open) {
        std::string list = type.substr(open + 1, close - open - 1);
        for (std::size_t begin = 0; begin <= list.size();) {
          const std::size_t end = std::min(list.find(',', begin), list.size());
          text.choices.push_back(list.substr(begin, end - begin));
          begin = end + 1;
        }
      }
    }
    if (option->get_group() != "Options") text.group = option->get_group();
    texts.push_back(std::move(text));
  }
  return texts;
}

Result<std::string> completion_script(const CLI::App& app, std::string_view shell) {
  if (shell == "bash") return bash_script(app);
  if (shell == "zsh") return zsh_script(app);
  if (shell == "fish") return fish_script(app);
  return fail(ErrorCode::InvalidArgument, "completion: found '{}', expected bash, zsh or fish",
              shell);
}

Command add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "completion", "A script that completes this command line: bash, zsh or fish");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return {command, [&app, shell]() -> Status {
            fmt::print("{}", MILLRACE_TRY(completion_script(app, *shell)));
            return {};
          }};
}

Command add_man(CLI::App& app) {
  CLI::App* command = app.add_subcommand("man", "The manual page, for man -l");
  return {command, [&app]() -> Status {
            fmt::print("{}", manual_page(app, MILLRACE_VERSION));
            return {};
          }};
}

}  // namespace millrace::cli
