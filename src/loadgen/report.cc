#include "loadgen/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/json.h"

namespace millrace::loadgen {
namespace {

Json as_json(const Summary& summary, double unit) {
  return {
      {"count", summary.count},    {"mean", summary.mean * unit}, {"std", summary.deviation * unit},
      {"min", summary.min * unit}, {"p50", summary.p50 * unit},   {"p90", summary.p90 * unit},
      {"p95", summary.p95 * unit}, {"p99", summary.p99 * unit},   {"max", summary.max * unit}};
}

Json by_turn(const StageRecord& stage) {
  std::map<std::int64_t, std::vector<const RequestRecord*>> turns;
  for (const RequestRecord& record : stage.requests)
    if (record.ok()) turns[record.turn].push_back(&record);
  Json list = Json::array();
  for (const auto& [turn, records] : turns) {
    std::vector<double> ttft;
    std::int64_t prompt = 0, cached = 0;
    for (const RequestRecord* record : records) {
      ttft.push_back(record->ttft_s());
      prompt += std::max<std::int64_t>(0, record->prompt_tokens);
      cached += std::max<std::int64_t>(0, record->cached_tokens);
    }
    list.push_back({{"turn", turn},
                    {"requests", records.size()},
                    {"ttft_p50_ms", summarize(ttft).p50 * 1e3},
                    {"prompt_tokens", prompt},
                    {"cached_tokens", cached}});
  }
  return list;
}

Json as_json(const StageRecord& stage, const Goal& goal) {
  const StageSummary s = summarize(stage, goal);
  Json json = {{"load", stage.load.label()},
               {"complete", stage.complete},
               {"duration_s", s.duration_s},
               {"completed", s.completed},
               {"failed", s.failed},
               {"input_tokens", s.input_tokens},
               {"cached_tokens", s.cached_tokens},
               {"output_tokens", s.output_tokens},
               {"requests_per_second", s.per_second(s.completed)},
               {"output_tokens_per_second", s.per_second(s.output_tokens)},
               {"total_tokens_per_second", s.per_second(s.input_tokens + s.output_tokens)},
               {"prefix_hit_rate", s.hit_rate()}};
  if (goal.any()) {
    json["goodput_requests_per_second"] = s.per_second(s.kept);
    json["within_goal"] = s.kept;
  }
  json["user_tokens_per_second"] = as_json(s.user_tok_s, 1);
  json["ttft_ms"] = as_json(s.ttft_s, 1e3);
  json["tpot_ms"] = as_json(s.tpot_s, 1e3);
  json["itl_ms"] = as_json(s.gap_s, 1e3);
  json["e2e_ms"] = as_json(s.e2e_s, 1e3);
  json["by_turn"] = by_turn(stage);
  std::map<std::string, std::int64_t> errors;
  for (const RequestRecord& record : stage.requests)
    if (!record.ok()) ++errors[record.error];
  json["errors"] = Json::object();
  for (const auto& [error, count] : errors) json["errors"][error] = count;
  Json samples = Json::array();
  for (const ServerSample& sample : stage.samples)
    samples.push_back({{"at_s", sample.at_s},
                       {"resident_bytes", sample.resident_bytes},
                       {"kv_usage", sample.kv_usage},
                       {"running", sample.running},
                       {"waiting", sample.waiting}});
  json["server"] = std::move(samples);
  return json;
}

}  // namespace

Result<Goal> Goal::parse(const std::vector<std::string>& parts) {
  Goal goal;
  for (const std::string& part : parts) {
    const auto colon = std::min(part.find(':'), part.size());
    const std::string name = part.substr(0, colon);
    const std::string value = part.substr(std::min(colon + 1, part.size()));
    char* end = nullptr;
    const double ms = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0' || !(ms > 0))
      return fail(ErrorCode::InvalidArgument, "--goodput: found '{}', expected NAME:MILLISECONDS",
                  part);
    if (name == "ttft")
      goal.ttft_s = ms / 1e3;
    else if (name == "tpot")
      goal.tpot_s = ms / 1e3;
    else if (name == "e2el" || name == "e2e")
      goal.e2e_s = ms / 1e3;
    else
      return fail(ErrorCode::InvalidArgument, "--goodput: found '{}', expected ttft, tpot or e2el",
                  name);
  }
  return goal;
}

bool Goal::is_kept(const RequestRecord& record) const {
  return record.ok() && (!ttft_s || record.ttft_s() <= *ttft_s) &&
         (!tpot_s || record.tpot_s() <= *tpot_s) && (!e2e_s || record.e2e_s() <= *e2e_s);
}

std::string Goal::text() const {
  std::string text;
  const auto add = [&](const char* name, const std::optional<double>& s) {
    if (s) text += fmt::format("{}{} at most {:g} ms", text.empty() ? "" : ", ", name, *s * 1e3);
  };
  add("TTFT", ttft_s);
  add("TPOT", tpot_s);
  add("end to end", e2e_s);
  return text;
}

StageSummary summarize(const StageRecord& stage, const Goal& goal) {
  StageSummary summary;
  summary.duration_s = stage.duration_s;
  std::vector<double> ttft, tpot, gaps, e2e, rate;
  for (const RequestRecord& record : stage.requests) {
    if (!record.ok()) {
      ++summary.failed;
      continue;
    }
    ++summary.completed;
    summary.kept += goal.is_kept(record);
    summary.input_tokens += std::max<std::int64_t>(0, record.prompt_tokens);
    summary.cached_tokens += std::max<std::int64_t>(0, record.cached_tokens);
    summary.output_tokens += std::max<std::int64_t>(0, record.completion_tokens);
    ttft.push_back(record.ttft_s());
    e2e.push_back(record.e2e_s());
    gaps.insert(gaps.end(), record.gaps_s.begin(), record.gaps_s.end());
    if (record.completion_tokens < 2) continue;
    tpot.push_back(record.tpot_s());
    if (tpot.back() > 0) rate.push_back(1 / tpot.back());
  }
  summary.ttft_s = summarize(std::move(ttft));
  summary.tpot_s = summarize(std::move(tpot));
  summary.gap_s = summarize(std::move(gaps));
  summary.e2e_s = summarize(std::move(e2e));
  summary.user_tok_s = summarize(std::move(rate));
  return summary;
}

Json as_json(const Report& report) {
  Json stages = Json::array();
  for (const StageRecord& stage : report.stages) stages.push_back(as_json(stage, report.goal));
  return {{"url", report.url},     {"model", report.model},      {"workload", report.workload},
          {"began", report.began}, {"goal", report.goal.text()}, {"stages", std::move(stages)}};
}

std::string as_table(const Report& report) {
  std::string out = fmt::format("{} | {} | {}\n", report.model, report.url, report.workload);
  out += fmt::format("{:<22} {:>9} {:>8} {:>9} {:>10} {:>9} {:>21} {:>19} {:>19} {:>7}\n", "load",
                     "answers", "failed", "req/s", "out tok/s", "tok/s/user", "TTFT ms p50/p90/p99",
                     "TPOT ms p50/p99", "ITL ms p50/p99", "hits");
  for (const StageRecord& stage : report.stages) {
    const StageSummary s = summarize(stage, report.goal);
    out += fmt::format(
        "{:<22} {:>9} {:>8} {:>9.2f} {:>10.1f} {:>10.1f} {:>21} {:>19} {:>19} {:>6.1f}%\n",
        stage.load.label() + (stage.complete ? "" : " (part)"), s.completed, s.failed,
        s.per_second(s.completed), s.per_second(s.output_tokens), s.user_tok_s.p50,
        fmt::format("{:.1f}/{:.1f}/{:.1f}", s.ttft_s.p50 * 1e3, s.ttft_s.p90 * 1e3,
                    s.ttft_s.p99 * 1e3),
        fmt::format("{:.2f}/{:.2f}", s.tpot_s.p50 * 1e3, s.tpot_s.p99 * 1e3),
        fmt::format("{:.2f}/{:.2f}", s.gap_s.p50 * 1e3, s.gap_s.p99 * 1e3), s.hit_rate() * 100);
    if (report.goal.any())
      out += fmt::format("  goodput {:.2f} req/s: {} of {} with {}\n", s.per_second(s.kept), s.kept,
                         s.completed + s.failed, report.goal.text());
    std::map<std::string, std::int64_t> errors;
    for (const RequestRecord& record : stage.requests)
      if (!record.ok()) ++errors[record.error];
    for (const auto& [error, count] : errors)
      out += fmt::format("  {} failed: {}\n", count, error.substr(0, 160));
  }
  return out;
}

}  // namespace millrace::loadgen
