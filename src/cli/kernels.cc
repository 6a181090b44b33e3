// `millrace kernels`: which kernel serves each op, and why the others lost.
#include <fmt/format.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "device/open_device.h"
#include "engine/parts.h"
#include "ops/op_cases.h"

namespace millrace::cli {
namespace {

struct KernelsOptions {
  ModelOptions model;
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

Status kernels(const KernelsOptions& options) {
  if (options.matrix) return print_matrix(options.model.device, options.json);
  // A config is enough: shapes and types decide, so dummy weights stand in for absent ones.
  EngineOptions engine = MILLRACE_TRY(options.model.resolve());
  engine.context = 16;
  LoadedModel files = MILLRACE_TRY(load_model(engine.model, engine.load));
  const std::unique_ptr<EngineParts> parts = MILLRACE_TRY(make_parts(std::move(files), engine));
  const DeviceTraits& traits = parts->device->traits();
  if (options.json) {
    Json rows = Json::array();
    for (const KernelReport& report : parts->model->kernels()) {
      Json lost = Json::array();
      for (const KernelVerdict& verdict : report.verdicts)
        if (!verdict.reason.empty())
          lost.push_back({{"kernel", verdict.kernel}, {"reason", verdict.reason}});
      rows.push_back({{"op", report.op},
                      {"key", report.key},
                      {"uses", report.uses},
                      {"kernel", report.verdicts.front().kernel},
                      {"priority", to_string(report.verdicts.front().priority)},
                      {"lost", std::move(lost)}});
    }
    const Json out = {{"device", traits.name},
                      {"backend", to_string(traits.backend)},
                      {"features", to_string(traits.cpu)},
                      {"kernels", std::move(rows)}};
    fmt::print("{}\n", out.dump(2));
    return {};
  }
  fmt::print("{} ({}), {} threads: {}\n\n", traits.name, to_string(traits.backend),
             traits.parallelism, to_string(traits.cpu));
  for (const KernelReport& report : parts->model->kernels()) {
    fmt::print("{}  {}  ({} uses)\n", report.op, report.key, report.uses);
    for (const KernelVerdict& verdict : report.verdicts)
      fmt::print("  {} {:<18} {:<12} {}\n", verdict.reason.empty() ? "*" : " ", verdict.kernel,
                 to_string(verdict.priority), verdict.reason);
  }
  return {};
}

}  // namespace

Command add_kernels(CLI::App& app) {
  auto options = std::make_shared<KernelsOptions>();
  CLI::App* kernels_app =
      app.add_subcommand("kernels", "Which kernel serves each op of a model here, and why");
  options->model.config_is_enough = true;
  CLI::Option* model = options->model.add_to(*kernels_app);
  model->required(false);
  kernels_app->add_flag("--matrix", options->matrix,
                        "Every op, type and kernel, and whether it runs on this machine");
  kernels_app->add_flag("--json", options->json, "Print JSON");
  return {kernels_app, [=]() -> Status {
            if (model->count() == 0 && !options->matrix)
              return fail(ErrorCode::InvalidArgument, "kernels: give a model, or --matrix");
            return kernels(*options);
          }};
}

}  // namespace millrace::cli
