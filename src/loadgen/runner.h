// Asks a server what a workload holds, and measures.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "loadgen/client.h"
#include "loadgen/records.h"

namespace millrace::loadgen {

struct RunOptions {
  ClientOptions client;
  std::string model;
  Json body = Json::object();  // further fields of every request
  std::uint64_t seed = 0;      // of arrivals
  int threads = 1;
  double sample_seconds = 1;  // between looks at /metrics; 0: none
};

// What GET /v1/models says of the first model, or of the one that is named.
struct ServedModelInfo {
  std::string name;
  std::int64_t vocab = 0;  // 0: the server does not say
};
Result<ServedModelInfo> ask_for_model(const ClientOptions& client, const std::string& name);

// Runs the sessions that `stage` does not hold yet and adds their records to it; false when a
// signal broke it off. `done` is called for each request, from any thread but one at a time.
Result<bool> run_stage(const Workload& workload, const RunOptions& options, RecordFile& file,
                       StageRecord& stage, const std::function<void()>& done);

}  // namespace millrace::loadgen
