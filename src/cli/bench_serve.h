// `millrace bench serve`: a load generator for any OpenAI-compatible server.
#pragma once

#include "cli/command.h"

namespace millrace::cli {

// Adds `serve` to the command `bench`.
Command add_bench_serve(CLI::App& bench);

}  // namespace millrace::cli
