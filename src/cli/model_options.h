// Flags that every command which loads a model shares.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace millrace::cli {

struct ModelOptions {
  std::string model;
  std::string load_format = "auto";
  std::uint64_t dummy_seed = 0;
  std::string dummy_dtype;
  std::string device = "auto";
  int threads = 0;
  std::int64_t context = 0;
  std::string kv_dtype = "auto";
  std::string accuracy = "fast";
  std::vector<std::string> kernels;  // "op=name"
  std::optional<bool> self_test;
  std::int64_t step_budget = 0;  // see EngineOptions; the flag is add_step_budget_to()'s
  // For commands that show what does not depend on the weights' values: a config.json stands for
  // its model without more ado.
  bool config_is_enough = false;

  // Adds MODEL and the flags to a command; returns MODEL's option, which is required.
  CLI::Option* add_to(CLI::App& app);
  CLI::Option* add_step_budget_to(CLI::App& app);
  // Resolves a hub name to a local folder (downloading if need be) and checks the values.
  Result<EngineOptions> resolve() const;
  // Of a second model, loaded like the first.
  Result<std::string> path_of(const std::string& name) const;

 private:
  bool is_dummy(const std::string& name) const;
};

// A local path as it is; "ORG/NAME" through the hub's cache, downloading what is missing.
Result<std::string> local_model(const std::string& model);

}  // namespace millrace::cli
