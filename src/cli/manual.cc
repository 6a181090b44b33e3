#include <fmt/format.h>

#include "cli/describe.h"

namespace millrace::cli {
namespace {

// Text as roff has it: no line begins with a control character, no dash becomes a hyphen.
std::string roff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

std::string options_text(const CLI::App& app, std::string_view path) {
  std::string out, group;
  for (const OptionText& option : option_texts(app)) {
    if (option.group != group) {
      group = option.group;
      if (!group.empty()) out += fmt::format(".PP\n{}:\n", roff(group));
    }
    if (option.names.empty()) continue;
    out += ".TP\n";
    std::string names;
    for (const std::string& name : option.names)
      names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", roff(name));
    if (!option.choices.empty())
      names += fmt::format(" {}", roff(fmt::format("{}", fmt::join(option.choices, "|"))));
    else if (!option.value.empty())
      names += fmt::format(" \\fI{}\\fR", roff(option.value));
    out += names + "\n" + roff(option.text.empty() ? "(no effect)" : option.text) + "\n";
  }
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (child->get_name().empty()) continue;
    const std::string whole = fmt::format("{} {}", path, child->get_name());
    std::string usage;
    for (const CLI::Option* option : child->get_options())
      if (option->get_positional() && option->get_lnames().empty() && option->get_snames().empty())
        usage += option->get_required() ? " " + option->get_name(true)
                                        : " [" + option->get_name(true) + "]";
    out += fmt::format(".SH {}\n.B {}\\fR [options]{}\n.PP\n{}\n", roff(whole), roff(whole),
                       roff(usage), roff(child->get_description()));
    out += options_text(*child, whole);
  }
  return out;
}

}  // namespace

std::string manual_page(const CLI::App& app, std::string_view version) {
  std::string out = fmt::format(
      ".\\\" Written by `millrace man`.\n.TH MILLRACE 1 \"\" \"millrace {}\" \"User "
      "Commands\"\n.SH "
      "NAME\nmillrace \\- runs and serves LFM2 and LFM2.5 language models\n.SH SYNOPSIS\n.B "
      "millrace\n.I command\n[options]\n.SH DESCRIPTION\n{}\n",
      roff(version), roff(app.get_description()));
  out += options_text(app, "millrace");
  out += ".SH EXAMPLES AND EXIT STATUS\n.nf\n" + roff(app.get_footer()) + "\n.fi\n";
  return out;
}

}  // namespace millrace::cli
