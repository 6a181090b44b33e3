// What a run amounts to: as JSON, as a table, as a page with plots.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loadgen/records.h"
#include "loadgen/stats.h"

namespace millrace::loadgen {

// What a request must keep to count for goodput.
struct Goal {
  std::optional<double> ttft_s, tpot_s, e2e_s;

  // "ttft:200 tpot:50", "e2el:5000": milliseconds.
  static Result<Goal> parse(const std::vector<std::string>& parts);
  bool any() const { return ttft_s || tpot_s || e2e_s; }
  bool is_kept(const RequestRecord& record) const;
  std::string text() const;
};

struct StageSummary {
  std::int64_t completed = 0, failed = 0, kept = 0;  // kept: within the goal
  std::int64_t input_tokens = 0, output_tokens = 0, cached_tokens = 0;
  double duration_s = 0;
  Summary ttft_s, tpot_s, gap_s, e2e_s;
  Summary user_tok_s;  // a request's own rate behind its first token

  double per_second(std::int64_t count) const {
    return duration_s > 0 ? static_cast<double>(count) / duration_s : 0;
  }
  double hit_rate() const {
    return input_tokens > 0 ? static_cast<double>(cached_tokens) / static_cast<double>(input_tokens)
                            : 0;
  }
};
StageSummary summarize(const StageRecord& stage, const Goal& goal);

struct Report {
  std::string url, model, workload;
  std::string began;  // UTC, as text
  Goal goal;
  std::vector<StageRecord> stages;
};

Json as_json(const Report& report);
std::string as_table(const Report& report);
// One file that needs no other, light or dark as the reader's screen.
std::string as_html(const Report& report);

}  // namespace millrace::loadgen
