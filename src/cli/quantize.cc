// `millrace quantize`: a model into a GGUF file of fewer bits a weight.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/json.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/interrupts.h"
#include "cli/model_options.h"
#include "convert/gguf_write.h"

namespace millrace::cli {
namespace {

struct QuantizeOptions {
  std::string model;
  std::string out;
  std::string type;
  std::string name;
  std::string load_format = "auto";
  std::uint64_t dummy_seed = 0;
  bool allow_requantize = false;
  bool force = false;
  bool dry_run = false;
  bool json = false;
  int threads = 0;
};

// Whatever speaks against the output's path, before a model is read.
Status check_out(const QuantizeOptions& options) {
  namespace fs = std::filesystem;
  const fs::path out(options.out);
  if (out.extension() != ".gguf")
    return fail(ErrorCode::InvalidArgument, "{}: expected a name that ends in .gguf", options.out);
  if (options.dry_run) return {};
  std::error_code ignored;
  const fs::path folder = out.has_parent_path() ? out.parent_path() : ".";
  if (!fs::is_directory(folder, ignored))
    return fail(ErrorCode::NotFound, "{}: no such folder", folder.string());
  if (fs::is_directory(out, ignored))
    return fail(ErrorCode::InvalidArgument, "{}: is a folder, expected a file to write",
                options.out);
  if (fs::exists(out, ignored) && !options.force)
    return fail(ErrorCode::InvalidArgument, "{}: is there already; --force replaces it",
                options.out);
  return {};
}

double bits_per_weight(std::int64_t bytes, std::int64_t weights) {
  return static_cast<double>(bytes) * 8.0 / static_cast<double>(std::max<std::int64_t>(1, weights));
}

// `file_bytes` 0: nothing was written.
void print_json(const QuantizeOptions& options, const GgufPlan& plan, std::uint64_t file_bytes,
                double seconds) {
  Json types = Json::array();
  for (const TypeShare& share : shares_of_types(plan))
    types.push_back({{"type", to_string(share.dtype)},
                     {"tensors", share.tensors},
                     {"weights", share.weights},
                     {"bytes", share.bytes},
                     {"bits_per_weight", bits_per_weight(share.bytes, share.weights)}});
  Json out = {{"model", options.model},
              {"out", options.out},
              {"type", options.type},
              {"written", file_bytes > 0},
              {"weights", plan.weights()},
              {"source_bytes", plan.source_bytes()},
              {"tensor_bytes", plan.bytes()},
              {"bits_per_weight", bits_per_weight(plan.bytes(), plan.weights())},
              {"types", std::move(types)},
              {"notes", plan.notes}};
  if (file_bytes > 0) {
    out["file_bytes"] = file_bytes;
    out["seconds"] = seconds;
  }
  fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_text(const QuantizeOptions& options, const GgufPlan& plan, std::uint64_t file_bytes,
                double seconds) {
  const auto size = [](std::int64_t bytes) {
    return format_bytes(static_cast<std::uint64_t>(bytes));
  };
  fmt::print("{}\n", options.out);
  const auto row = [&](std::string_view what, const std::string& tensors, std::int64_t weights,
                       std::int64_t bytes) {
    fmt::print("  {:<7} {:>8} {:>9} {:>11} {:>8.2f}\n", what, tensors,
               format_count(static_cast<std::uint64_t>(weights)), size(bytes),
               bits_per_weight(bytes, weights));
  };
  fmt::print("  {:<7} {:>8} {:>9} {:>11} {:>8}\n", "type", "tensors", "weights", "size", "bits");
  for (const TypeShare& share : shares_of_types(plan))
    row(to_string(share.dtype), fmt::format("{}", share.tensors), share.weights, share.bytes);
  row("in all", fmt::format("{}", plan.tensors.size()), plan.weights(), plan.bytes());
  row("before", "", plan.weights(), plan.source_bytes());
  for (const std::string& note : plan.notes) fmt::print("  note: {}\n", note);
  if (file_bytes > 0)
    fmt::print("  wrote {} in {}\n", format_bytes(file_bytes), format_seconds(seconds));
  else
    fmt::print("  nothing written (--dry-run)\n");
}

// What a user typed, without the hub's additions: "ORG/NAME@REVISION:QUANT" is NAME. Empty where
// the path says more.
std::string name_of_hub_model(const std::string& model) {
  std::error_code ignored;
  if (std::filesystem::exists(model, ignored)) return "";
  const std::string name = model.substr(0, model.find_first_of("@:"));
  return name.substr(name.rfind('/') + 1);
}

Status quantize(const QuantizeOptions& options) {
  MILLRACE_TRY(check_out(options));
  const FileType* type = find_file_type(options.type);
  if (type == nullptr) return fail(ErrorCode::InvalidArgument, "--type: found '{}'", options.type);
  const bool made_up = options.load_format == "dummy";
  const std::string path = made_up ? options.model : MILLRACE_TRY(local_model(options.model));
  const GgufPlan plan = MILLRACE_TRY(plan_gguf(
      path, {.type = type,
             .name = options.name.empty() ? name_of_hub_model(options.model) : options.name,
             .allow_requantize = options.allow_requantize,
             .load = {.format = !made_up          ? LoadFormat::Auto
                                : options.dry_run ? LoadFormat::Outline
                                                  : LoadFormat::Dummy,
                      .dummy_seed = options.dummy_seed,
                      .dummy_dtype = {}}}));
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t file_bytes = 0;
  if (!options.dry_run) {
    // Ctrl-C removes what was begun.
    const InterruptFlag interrupt;
    file_bytes = MILLRACE_TRY(
        write_gguf(plan, options.out, {.threads = options.threads, .cancelled = interrupt.get()}));
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  (options.json ? print_json : print_text)(options, plan, file_bytes, seconds.count());
  return {};
}

}  // namespace

Command add_quantize(CLI::App& app) {
  auto options = std::make_shared<QuantizeOptions>();
  CLI::App* quantize_app = app.add_subcommand(
      "quantize", "Write a model as a GGUF file of fewer bits a weight, for Millrace or llama.cpp");
  quantize_app
      ->add_option("model", options->model,
                   "Folder in Hugging Face layout, GGUF file, or ORG/NAME of the hub")
      ->required();
  quantize_app->add_option("out", options->out, "GGUF file to write")->required();
  std::vector<std::string> names;
  for (const FileType& type : file_types()) names.emplace_back(type.name);
  quantize_app->add_option("-t,--type", options->type, "What most weights become")
      ->required()
      ->check(CLI::IsMember(names, CLI::ignore_case));
  quantize_app->add_option("--name", options->name, "The model's name in the file");
  quantize_app->add_option("--threads", options->threads, "Threads; 0: all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  quantize_app
      ->add_option("--load-format", options->load_format,
                   "auto, or dummy: random weights for a config.json or a known model's name, for "
                   "measuring speed")
      ->check(CLI::IsMember({"auto", "dummy"}))
      ->capture_default_str();
  quantize_app->add_option("--dummy-seed", options->dummy_seed, "Seed of such weights")
      ->capture_default_str();
  quantize_app->add_flag("--allow-requantize", options->allow_requantize,
                         "Take weights that are quantized already");
  quantize_app->add_flag("--force", options->force, "Replace a file that is there");
  quantize_app->add_flag("--dry-run", options->dry_run, "Only say what would be written");
  quantize_app->add_flag("--json", options->json, "Print JSON");
  quantize_app->footer(
      "Norms, conv kernels, biases and routers stay F32; q4_k_m and q5_k_m give every third "
      "layer's\n"
      "values and down projections, and the head, Q6_K, as llama.cpp's quantize does.");
  return {quantize_app, [=] { return quantize(*options); }};
}

}  // namespace millrace::cli
