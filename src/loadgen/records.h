// What was measured, request by request, and the file that keeps it so that a run can go on.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "loadgen/arrivals.h"
#include "loadgen/workload.h"

namespace millrace::loadgen {

// Times are seconds since the stage began. Absent counts are -1.
struct RequestRecord {
  std::string session;
  std::int64_t turn = 0;
  double start_s = 0;
  double first_s = 0;  // the first piece of the answer; 0: none came
  double end_s = 0;
  std::vector<double> gaps_s;  // between pieces, as a rule one token each
  std::int64_t prompt_tokens = -1, cached_tokens = -1, completion_tokens = -1;
  std::string error;  // why it failed

  bool ok() const { return error.empty(); }
  double ttft_s() const { return first_s - start_s; }
  double e2e_s() const { return end_s - start_s; }
  // Mean time of a token behind the first; 0 for answers of one token.
  double tpot_s() const {
    return completion_tokens > 1 ? (end_s - first_s) / static_cast<double>(completion_tokens - 1)
                                 : 0;
  }
};

// What the server's /metrics said; -1 where it said nothing.
struct ServerSample {
  double at_s = 0;
  double resident_bytes = -1;
  double kv_usage = -1;  // 1: full
  double running = -1, waiting = -1;
};

struct StageRecord {
  Load load;
  double duration_s = 0;
  bool complete = false;
  std::vector<RequestRecord> requests;
  std::vector<ServerSample> samples;
};

Json to_json(const RequestRecord& record);
Result<RequestRecord> parse_request_record(const Json& json);

// A file of JSON lines: a header that names the workload, then whatever was measured, as it was.
class RecordFile {
 public:
  // Begins a new file; with `resume` goes on with the one that is there, which must be of the same
  // workload. `path` may be empty: nothing is kept.
  static Result<RecordFile> open(const std::string& path, const Json& header, bool resume);

  // What the file holds of a stage: whole sessions alone.
  StageRecord take(const Load& load, const Workload& workload);

  void add(const Load& load, const RequestRecord& record);
  void add(const Load& load, const ServerSample& sample);
  // So far a stage has taken this long.
  void add_duration(const Load& load, double seconds);

 private:
  void write(const Json& line);

  std::ofstream file_;
  std::vector<Json> lines_;  // that were there
};

}  // namespace millrace::loadgen
