#include "cli/model_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "cli/interrupts.h"
#include "hub/hub.h"
#include "model/known_configs.h"
#include "ops/decode_step/decode_step.h"
#include "ops/op_cases.h"

namespace millrace::cli {
namespace {

// "op=name", where there is such an op.
Result<std::pair<std::string, std::string>> parse_override(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return fail(ErrorCode::InvalidArgument, "--kernel: found '{}', expected op=name", text);
  std::vector<std::string_view> ops = {DecodeStep::kName};
  for (const OpTable& table : all_op_tables()) ops.push_back(table.op);
  const std::string op = text.substr(0, equals);
  if (std::find(ops.begin(), ops.end(), op) == ops.end())
    return fail(ErrorCode::InvalidArgument, "--kernel: found op '{}', expected one of {}", op,
                fmt::join(ops, ", "));
  return std::pair(op, text.substr(equals + 1));
}

}  // namespace

CLI::Option* ModelOptions::add_to(CLI::App& app) {
  CLI::Option* model_option =
      app.add_option(
             "MODEL,--model", model,
             "A folder in Hugging Face layout, a .gguf file, or a hub name ORG/NAME[:QUANT]; with "
             "dummy weights also a known name such as LFM2-1.2B")
          ->required();
  app.add_option("--load-format", load_format,
                 "auto: weights from files; dummy: seeded random weights from config.json alone")
      ->check(CLI::IsMember({"auto", "dummy"}))
      ->capture_default_str();
  app.add_option("--dummy-seed", dummy_seed, "Seed of dummy weights")->capture_default_str();
  app.add_option("--dummy-dtype", dummy_dtype,
                 "Store dummy matrices as bf16, f16, f32, q8_0, q4_0, q4_k, ...");
  app.add_option("--device", device,
                 "auto: a GPU where there is one, else the CPU; or cpu, cuda, cuda:INDEX, hip, "
                 "hip:INDEX, emulated, emulated-amd (GPU kernels on the host, for tests)")
      ->capture_default_str();
  app.add_option("-t,--threads", threads, "Threads; 0: one per available core")
      ->capture_default_str();
  app.add_option("-c,--context", context,
                 "Most tokens of one conversation; 0: the model's, at most 32768")
      ->capture_default_str();
  app.add_option(
         "--kv-dtype,--kv-cache-dtype", kv_dtype,
         "Cache keys and values as f32, bf16 or fp8 (half of bf16's memory and reads, at a cost in "
         "accuracy: docs/cache.md)")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "bfloat16", "fp8", "fp8_e4m3"}))
      ->capture_default_str();
  app.add_option("--accuracy", accuracy,
                 "fast: a CPU rounds activations to BF16 or to eight bits, as the weights' type "
                 "asks for; exact: it computes with floats throughout")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  app.add_option("--kernel", kernels,
                 "Force a kernel: op=name, as `millrace kernels` lists them (repeatable)")
      ->allow_extra_args(false);
  app.add_flag(
      "--self-test,!--no-self-test", self_test,
      "Run every chosen kernel against its reference before it is used; by default on GPUs "
      "and CPUs with AMX");
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
  const InterruptFlag interrupt;
  const fs::path pulled = MILLRACE_TRY(pull(*ref, hub, {.cancelled = interrupt.get()}));
  return pulled.string();
}

CLI::Option* ModelOptions::add_step_budget_to(CLI::App& app) {
  return app.add_option("--max-num-batched-tokens", step_budget,
                        "Most tokens of a step; 0: 512, on a GPU 8192");
}

bool ModelOptions::is_dummy(const std::string& name) const {
  return load_format == "dummy" || (config_is_enough && name.ends_with(".json"));
}

Result<std::string> ModelOptions::path_of(const std::string& name) const {
  if (is_dummy(name) && find_known_config(name)) return name;
  return local_model(name);
}

Result<EngineOptions> ModelOptions::resolve() const {
  EngineOptions options;
  const bool dummy = is_dummy(model);
  options.model = MILLRACE_TRY(path_of(model));
  options.device = device;
  options.threads = threads;
  options.self_test = self_test;
  options.context = context;
  options.step_budget = step_budget;
  if (kv_dtype != "auto") options.kv_dtype = parse_dtype(kv_dtype);
  options.accuracy = accuracy == "exact" ? Accuracy::Exact : Accuracy::Fast;
  options.load.format = dummy ? LoadFormat::Dummy : LoadFormat::Auto;
  options.load.dummy_seed = dummy_seed;
  if (!dummy_dtype.empty()) {
    options.load.dummy_dtype = parse_dtype(dummy_dtype);
    if (!options.load.dummy_dtype || *options.load.dummy_dtype == DType::I32 ||
        *options.load.dummy_dtype == DType::F8_E4M3)
      return fail(ErrorCode::InvalidArgument, "--dummy-dtype: found '{}', expected a weight type",
                  dummy_dtype);
  }
  for (const std::string& forced : kernels) {
    auto [op, name] = MILLRACE_TRY(parse_override(forced));
    options.kernels[std::move(op)] = std::move(name);
  }
  return options;
}

}  // namespace millrace::cli
