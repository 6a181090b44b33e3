// `millrace pull`: downloads a model from the hub.
#include <fmt/format.h>

#include "base/units.h"
#include "cli/command.h"
#include "cli/interrupts.h"
#include "hub/hub.h"

namespace millrace::cli {

Command add_pull(CLI::App& app) {
  struct Flags {
    std::string model;
    bool dry_run = false;
    PullOptions pull;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* pull_app = app.add_subcommand(
      "pull", "Download a model into the Hugging Face cache, resuming what was begun");
  pull_app->add_option("model", flags->model, "ORG/NAME[@REVISION][:QUANT]")->required();
  pull_app->add_option("--include", flags->pull.include, "Only files that match (repeatable)")
      ->allow_extra_args(false);
  pull_app->add_option("--exclude", flags->pull.exclude, "No files that match (repeatable)")
      ->allow_extra_args(false);
  pull_app->add_option("--connections", flags->pull.connections, "Parallel ranges of a large file")
      ->capture_default_str();
  pull_app->add_flag("--dry-run", flags->dry_run, "List what would be downloaded");
  pull_app->footer(
      "HF_TOKEN (or the token file of huggingface_hub) opens gated models; HF_ENDPOINT names\n"
      "another hub; HF_HOME and HF_HUB_CACHE say where files go.");
  return {pull_app, [=]() -> Status {
            const ModelRef ref = MILLRACE_TRY(parse_model_ref(flags->model));
            const HubOptions hub = HubOptions::from_environment();
            // Ctrl-C ends the download in good order: what came stays for the next pull.
            const InterruptFlag interrupt;
            flags->pull.cancelled = interrupt.get();
            if (flags->dry_run) {
              const std::vector<RemoteFile> files = MILLRACE_TRY(list_files(ref, hub, flags->pull));
              for (const RemoteFile& file : files)
                fmt::print("{:>12}  {}\n", format_bytes(file.size), file.path);
              return {};
            }
            fmt::print("{}\n", MILLRACE_TRY(pull(ref, hub, flags->pull)).string());
            return {};
          }};
}

}  // namespace millrace::cli
