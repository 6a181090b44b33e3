// `millrace kernels`: which kernel serves each op, and why the others lost.
#include <fmt/format.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "device/described_device.h"
#include "device/open_device.h"
#include "engine/parts.h"
#include "model/known_configs.h"
#include "ops/op_cases.h"

namespace millrace::cli {
namespace {

struct KernelsOptions {
  ModelOptions model;
  std::string backend, arch;  // of a machine that is not here
  bool json = false;
  bool matrix = false;
};

// Which kernel runs which types of which op on this machine: read off the ops' case tables.
Status print_matrix(const std::string& device_name, bool json) {
  const std::unique_ptr<Device> device = MILLRACE_TRY(open_device(device_name, 1));
  const DType activation = device->uses_host_memory() ? DType::F32 : DType::BF16;
  Json rows = Json::array();
  for (const SupportRow& row : support_matrix(device->traits(), activation)) {
    if (json)
      rows.push_back({{"op", row.op},
                      {"types", row.types},
                      {"kernel", row.kernel},
                      {"priority", to_string(row.priority)},
                      {"runs", row.reason.empty()},
                      {"reason", row.reason}});
    else
      fmt::print("{:<12} {:<14} {:<12} {:<12} {}\n", row.op, row.types, row.kernel,
                 to_string(row.priority), row.reason.empty() ? "yes" : "no: " + row.reason);
  }
  if (json) fmt::print("{}\n", rows.dump(2));
  return {};
}

// The device, its host's instruction sets, and what was chosen for it.
struct Explained {
  DeviceTraits traits;
  std::vector<KernelReport> reports;
};

// For a machine that is not here: shapes and types decide, so nothing is loaded.
Result<Explained> explain_elsewhere(const KernelsOptions& options) {
  Explained out;
  out.traits = MILLRACE_TRY(find_known_gpu(options.backend, options.arch));
  ModelOptions model = options.model;
  const bool by_name = find_known_config(model.model) != nullptr;
  if (by_name) model.load_format = "dummy";
  EngineOptions engine = MILLRACE_TRY(model.resolve());
  if (engine.load.format == LoadFormat::Dummy) engine.load.format = LoadFormat::Outline;
  LoadedModel files = MILLRACE_TRY(load_model(engine.model, engine.load));
  out.reports = MILLRACE_TRY(explain_kernels(std::move(files), engine, out.traits));
  return out;
}

Result<Explained> explain_here(const KernelsOptions& options) {
  // A config is enough: dummy weights stand in for absent ones.
  EngineOptions engine = MILLRACE_TRY(options.model.resolve());
  engine.context = 16;
  LoadedModel files = MILLRACE_TRY(load_model(engine.model, engine.load));
  const std::unique_ptr<EngineParts> parts = MILLRACE_TRY(make_parts(std::move(files), engine));
  return Explained{parts->device->traits(), parts->model->kernels()};
}

Status kernels(const KernelsOptions& options) {
  if (options.matrix) return print_matrix(options.model.device, options.json);
  const bool elsewhere = !options.backend.empty() || !options.arch.empty();
  const Explained explained =
      MILLRACE_TRY(elsewhere ? explain_elsewhere(options) : explain_here(options));
  const DeviceTraits& traits = explained.traits;
  if (options.json) {
    Json rows = Json::array();
    for (const KernelReport& report : explained.reports) {
      Json lost = Json::array();
      for (const KernelVerdict& verdict : report.verdicts)
        if (!verdict.reason.empty())
          lost.push_back({{"kernel", verdict.kernel}, {"reason", verdict.reason}});
      rows.push_back({{"op", report.op},
                      {"key", report.key},
                      {"uses", report.uses},
                      {"kernel", report.verdicts.front().kernel},
                      {"priority", to_string(report.verdicts.front().priority)},
                      {"note", report.note},
                      {"lost", std::move(lost)}});
    }
    const Json out = {{"device", traits.name},
                      {"backend", to_string(traits.backend)},
                      {"features", to_string(traits.cpu)},
                      {"kernels", std::move(rows)}};
    fmt::print("{}\n", out.dump(2));
    return {};
  }
  if (elsewhere)
    fmt::print("{} ({}), not asked but described\n\n", traits.name, to_string(traits.backend));
  else
    fmt::print("{} ({}), {} threads: {}\n\n", traits.name, to_string(traits.backend),
               traits.parallelism, to_string(traits.cpu));
  for (const KernelReport& report : explained.reports) {
    fmt::print("{}  {}  ({} uses)\n", report.op, report.key, report.uses);
    for (const KernelVerdict& verdict : report.verdicts)
      fmt::print("  {} {:<18} {:<12} {}\n", verdict.reason.empty() ? "*" : " ", verdict.kernel,
                 to_string(verdict.priority), verdict.reason);
    if (!report.note.empty()) fmt::print("    {}\n", report.note);
  }
  return {};
}

}  // namespace

Command add_kernels(CLI::App& app) {
  auto options = std::make_shared<KernelsOptions>();
  CLI::App* kernels_app =
      app.add_subcommand("kernels", "Which kernel serves each op of a model, and why");
  options->model.config_is_enough = true;
  CLI::Option* model = options->model.add_to(*kernels_app);
  model->required(false);
  kernels_app->add_flag("--matrix", options->matrix,
                        "Every op, type and kernel, and whether it runs on this machine");
  kernels_app->add_option("--backend", options->backend,
                          "For a GPU that is not here: cuda or hip; loads no weights");
  kernels_app->add_option("--arch", options->arch,
                          "For a GPU that is not here: gfx942, gfx950, sm_90, MI325X, ...");
  kernels_app->add_flag("--json", options->json, "Print JSON");
  return {kernels_app, [=]() -> Status {
            if (model->count() == 0 && !options->matrix)
              return fail(ErrorCode::InvalidArgument, "kernels: give a model, or --matrix");
            return kernels(*options);
          }};
}

}  // namespace millrace::cli
