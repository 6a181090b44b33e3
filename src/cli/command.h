// How a subcommand is made: each file adds itself to the command line and says what to do.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/error.h"

namespace millrace::cli {

struct Command {
  CLI::App* app;
  std::function<Status()> action;
};

Command add_run(CLI::App& app);
Command add_inspect(CLI::App& app);
Command add_kernels(CLI::App& app);
Command add_bench(CLI::App& app);
Command add_completion(CLI::App& app);
Command add_tokenize(CLI::App& app);
Command add_template(CLI::App& app);
Command add_logits(CLI::App& app);
Command add_doctor(CLI::App& app);
Command add_man(CLI::App& app);
Command add_parse(CLI::App& app);
Command add_pull(CLI::App& app);
Command add_quantize(CLI::App& app);
Command add_serve(CLI::App& app);

}  // namespace millrace::cli
