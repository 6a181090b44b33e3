#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <new>

#include "base/progress.h"
#include "cli/command.h"

namespace millrace::cli {
namespace {

constexpr const char* kFooter = R"(
Try:
  millrace run models/nano "What is 17 plus 25?"     one answer
  millrace run models/nano                           a chat that keeps its memory
  millrace serve models/nano                         an OpenAI-compatible server
  millrace pull LiquidAI/LFM2-350M                   download a model, then run it by that name
  millrace quantize LFM2-1.2B LFM2-1.2B-Q4_K_M.gguf -t q4_k_m   a quarter of its size
  millrace bench LFM2-1.2B/config.json --load-format dummy   full-size speed without weights
  millrace doctor                                    what this machine offers

Exit status: 0 done; 1 unexpected failure; 2 bad arguments; 3 not found; 4 damaged file;
5 unsupported model or file; 6 too large, out of memory; 7 network or device unavailable;
130 interrupted.)";

// What is wrong with the arguments, and where to read what is right.
std::string complaint(const CLI::App& app, const CLI::ParseError& error, std::string_view first) {
  const std::vector<CLI::App*> named = app.get_subcommands();
  if (!named.empty())
    return fmt::format("{}; see millrace {} --help", error.what(), named.front()->get_name());
  if (!first.empty() && first.front() != '-')
    return fmt::format("no command '{}'; see millrace --help", first);
  return fmt::format("{}; see millrace --help", error.what());
}

int run_main(int argc, char** argv) {
  CLI::App app("Millrace runs Liquid AI's LFM2 and LFM2.5 models.", "millrace");
  app.set_version_flag("--version", "millrace " MILLRACE_VERSION);
  app.require_subcommand(1);
  app.footer(kFooter);
  app.get_formatter()->column_width(34);
  bool quiet = false;
  app.add_flag("-q,--quiet", quiet, "No progress bars");
  app.fallthrough();

  const Command commands[] = {
      add_run(app),      add_inspect(app), add_kernels(app), add_bench(app),     add_tokenize(app),
      add_template(app), add_logits(app),  add_doctor(app),  add_pull(app),      add_quantize(app),
      add_parse(app),    add_serve(app),   add_man(app),     add_completion(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "millrace: {}\n", complaint(app, e, argc > 1 ? argv[1] : ""));
    return exit_status(ErrorCode::InvalidArgument);
  }
  if (quiet) Progress::disable_all();
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    const Status status = command.action();
    if (status) return 0;
    fmt::print(stderr, "millrace: {}\n", status.error().message);
    return exit_status(status.error().code);
  }
  return 0;
}

}  // namespace
}  // namespace millrace::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a failed write, not a death
  try {
    return millrace::cli::run_main(argc, argv);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "millrace: out of memory\n");
    return millrace::exit_status(millrace::ErrorCode::TooLarge);
  } catch (const std::exception& e) {
    fmt::print(stderr, "millrace: {}\n", e.what());
    return 1;
  }
}
