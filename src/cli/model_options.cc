#include "cli/model_options.h"

#include <filesystem>

#include "hub/hub.h"

namespace millrace::cli {

CLI::Option* ModelOptions::add_to(CLI::App& app) {
  CLI::Option* model_option =
      app.add_option(
             "model", model,
             "A folder in Hugging Face layout, a .gguf file, or a hub name ORG/NAME[:QUANT]")
          ->required();
  app.add_option("--load-format", load_format,
                 "auto: weights from files; dummy: seeded random weights from config.json alone")
      ->check(CLI::IsMember({"auto", "dummy"}))
      ->capture_default_str();
  app.add_option("--dummy-seed", dummy_seed, "Seed of dummy weights")->capture_default_str();
  app.add_option("--dummy-dtype", dummy_dtype,
                 "Store dummy matrices as bf16, f16, f32, q8_0, q4_0, q4_k, ...");
  app.add_option("--device", device,
                 "auto: an NVIDIA GPU where there is one, else the CPU; or cpu, cuda, cuda:INDEX, "
                 "emulated (GPU kernels on the host, for tests)")
      ->capture_default_str();
  app.add_option("-t,--threads", threads, "Threads; 0: one per available core")
      ->capture_default_str();
  app.add_option("-c,--context", context,
                 "Most tokens of one conversation; 0: the model's, at most 32768")
      ->capture_default_str();
  app.add_option("--kv-dtype", kv_dtype, "Cache keys and values as f32 or bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  app.add_option("--accuracy", accuracy,
                 "fast: a CPU rounds activations to BF16 or to eight bits, as the weights' type "
                 "asks for; exact: it computes with floats throughout")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  app.add_option("--kernel", kernels,
                 "Force a kernel: op=name, as `millrace kernels` lists them (repeatable)");
  return model_option;
}

Result<std::string> local_model(const std::string& model) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::exists(model, ignored)) return model;
  const Result<ModelRef> ref = parse_model_ref(model);
  if (!ref)
    return fail(ErrorCode::NotFound, "{}: no such file or folder, and not a hub name (ORG/NAME)",
                model);
  const HubOptions hub = HubOptions::from_environment();
  if (const auto cached = find_cached(*ref, hub)) return cached->string();
  const fs::path pulled = MILLRACE_TRY(pull(*ref, hub, PullOptions{}));
  return pulled.string();
}

Result<EngineOptions> ModelOptions::resolve() const {
  EngineOptions options;
  options.model = MILLRACE_TRY(local_model(model));
  options.device = device;
  options.threads = threads;
  options.context = context;
  if (kv_dtype != "auto") options.kv_dtype = parse_dtype(kv_dtype);
  options.accuracy = accuracy == "exact" ? Accuracy::Exact : Accuracy::Fast;
  options.load.format = load_format == "dummy" ? LoadFormat::Dummy : LoadFormat::Auto;
  options.load.dummy_seed = dummy_seed;
  if (!dummy_dtype.empty()) {
    options.load.dummy_dtype = parse_dtype(dummy_dtype);
    if (!options.load.dummy_dtype || *options.load.dummy_dtype == DType::I32)
      return fail(ErrorCode::InvalidArgument, "--dummy-dtype: found '{}', expected a weight type",
                  dummy_dtype);
  }
  for (const std::string& forced : kernels) {
    const auto equals = forced.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorCode::InvalidArgument, "--kernel: found '{}', expected op=name", forced);
    options.kernels[forced.substr(0, equals)] = forced.substr(equals + 1);
  }
  return options;
}

}  // namespace millrace::cli
