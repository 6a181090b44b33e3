#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "loadgen/report.h"
#include "loadgen/svg_plot.h"

namespace millrace::loadgen {
namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
:root { --paper: #fbfbfa; --ink: #1d2125; --soft: #606a73; --line: #dfe3e6; --card: #ffffff;
  --c0: #2563c9; --c1: #c2571a; --c2: #18845c; --c3: #9141ac; --c4: #b3261e; --c5: #0f7c90; --c6: #857200; --c7: #5b6470; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e6e9eb; --soft: #9aa5ad; --line: #2d343a; --card: #1b1f23;
    --c0: #76a9ff; --c1: #f2a06a; --c2: #5fd0a2; --c3: #d49bea; --c4: #ff8a80; --c5: #6cd3e4; --c6: #dcc84f; --c7: #aab4bd; } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 24px 20px 48px; max-width: 1240px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 22px; margin: 0 0 4px } h2 { font-size: 17px; margin: 32px 0 8px }
p { margin: 4px 0; color: var(--soft) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; white-space: nowrap; font-variant-numeric: tabular-nums }
th, td { padding: 5px 12px; text-align: right; border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 500 } th:first-child, td:first-child { text-align: left }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px }
figure { margin: 0; padding: 8px; background: var(--card); border: 1px solid var(--line); border-radius: 8px }
figcaption { padding: 0 8px 4px; color: var(--soft); font-size: 13px }
figcaption span { margin-right: 12px; white-space: nowrap }
figcaption i { display: inline-block; width: 12px; height: 3px; margin: 0 5px 3px 0 }
svg { width: 100%; height: auto; display: block } svg text { fill: var(--ink); font-size: 12px }
svg .title { font-size: 14px; font-weight: 600 } svg .tick, svg .label { fill: var(--soft) }
svg .grid { stroke: var(--line); stroke-width: 1 } svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round }
)";

std::string style_of_series() {
  std::string css;
  for (int i = 0; i < 8; ++i)
    css += fmt::format(
        "svg .s{0} {{ stroke: var(--c{0}) }} svg .c{0} {{ fill: var(--c{0}) }} figcaption .k{0} {{ "
        "background: var(--c{0}) }}\n",
        i);
  return css;
}

std::string row(const std::vector<std::string>& cells, const char* tag) {
  std::string out = "<tr>";
  for (const std::string& cell : cells)
    out += fmt::format("<{0}>{1}</{0}>", tag, escape_html(cell));
  return out + "</tr>\n";
}

std::string summary_table(const Report& report) {
  std::vector<std::string> head = {"load",
                                   "answers",
                                   "failed",
                                   "time s",
                                   "req/s",
                                   "out tok/s",
                                   "all tok/s",
                                   "tok/s/user",
                                   "prefix hits",
                                   "TTFT p50 ms",
                                   "p90",
                                   "p99",
                                   "TPOT p50 ms",
                                   "p99",
                                   "ITL p50 ms",
                                   "p99",
                                   "end to end p50 s",
                                   "p99"};
  if (report.goal.any()) head.push_back("goodput req/s");
  std::string out = "<div class=\"scroll\"><table>" + row(head, "th");
  for (const StageRecord& stage : report.stages) {
    const StageSummary s = summarize(stage, report.goal);
    const auto ms = [](double seconds) { return fmt::format("{:.2f}", seconds * 1e3); };
    std::vector<std::string> cells = {
        stage.load.label() + (stage.complete ? "" : " (part)"),
        fmt::format("{}", s.completed),
        fmt::format("{}", s.failed),
        fmt::format("{:.1f}", s.duration_s),
        fmt::format("{:.2f}", s.per_second(s.completed)),
        fmt::format("{:.0f}", s.per_second(s.output_tokens)),
        fmt::format("{:.0f}", s.per_second(s.input_tokens + s.output_tokens)),
        fmt::format("{:.1f}", s.user_tok_s.p50),
        fmt::format("{:.1f}%", s.hit_rate() * 100),
        ms(s.ttft_s.p50),
        ms(s.ttft_s.p90),
        ms(s.ttft_s.p99),
        ms(s.tpot_s.p50),
        ms(s.tpot_s.p99),
        ms(s.gap_s.p50),
        ms(s.gap_s.p99),
        fmt::format("{:.2f}", s.e2e_s.p50),
        fmt::format("{:.2f}", s.e2e_s.p99)};
    if (report.goal.any()) cells.push_back(fmt::format("{:.2f}", s.per_second(s.kept)));
    out += row(cells, "td");
  }
  return out + "</table></div>\n";
}

// How often something happened in each of up to 120 parts of the stage, a second.
Series rate_over_time(std::string name, const StageRecord& stage,
                      const std::vector<std::pair<double, double>>& events) {
  const double width = std::max(0.1, stage.duration_s / 120);
  std::vector<double> sums(static_cast<std::size_t>(stage.duration_s / width) + 1, 0.0);
  for (const auto& [at, amount] : events) {
    const auto index = static_cast<std::size_t>(std::max(0.0, at) / width);
    if (index < sums.size()) sums[index] += amount;
  }
  Series series{.name = std::move(name), .points = {}};
  for (std::size_t i = 0; i < sums.size(); ++i)
    series.points.emplace_back((static_cast<double>(i) + 0.5) * width, sums[i] / width);
  return series;
}

Series tokens_over_time(const StageRecord& stage) {
  std::vector<std::pair<double, double>> events;
  for (const RequestRecord& record : stage.requests) {
    double at = record.first_s;
    events.emplace_back(at, 1);
    for (const double gap : record.gaps_s) events.emplace_back(at += gap, 1);
  }
  return rate_over_time(stage.load.label(), stage, events);
}

Series in_flight(const StageRecord& stage) {
  std::map<double, int> changes;
  for (const RequestRecord& record : stage.requests) {
    ++changes[record.start_s];
    --changes[record.end_s];
  }
  Series series{.name = stage.load.label(), .points = {}};
  int now = 0;
  const std::size_t every = changes.size() / 600 + 1;
  std::size_t i = 0;
  for (const auto& [at, change] : changes) {
    now += change;
    if (i++ % every == 0) series.points.emplace_back(at, now);
  }
  return series;
}

Series by_turn(const StageRecord& stage) {
  std::map<std::int64_t, std::vector<double>> turns;
  for (const RequestRecord& record : stage.requests)
    if (record.ok()) turns[record.turn].push_back(record.ttft_s() * 1e3);
  Series series{.name = stage.load.label(), .points = {}};
  for (auto& [turn, times] : turns)
    series.points.emplace_back(static_cast<double>(turn + 1), summarize(std::move(times)).p50);
  return series;
}

// One series a stage; without those that have nothing to show.
template <typename Make>
Plot for_stages(const Report& report, Plot plot, Make make) {
  for (const StageRecord& stage : report.stages)
    if (Series series = make(stage); !series.points.empty())
      plot.series.push_back(std::move(series));
  return plot;
}

template <typename Value>
Plot distributions(const Report& report, const std::string& title, const std::string& unit,
                   Value values) {
  return for_stages(report,
                    {.title = title,
                     .x_label = unit,
                     .y_label = "share of all",
                     .series = {},
                     .log_x = true,
                     .y_top = 1},
                    [&](const StageRecord& stage) {
                      std::vector<double> all;
                      for (const RequestRecord& record : stage.requests)
                        if (record.ok()) values(record, all);
                      return distribution(stage.load.label(), std::move(all));
                    });
}

template <typename Value>
Plot samples(const Report& report, const std::string& title, const std::string& unit, Value value) {
  return for_stages(report, {.title = title, .x_label = "s", .y_label = unit, .series = {}},
                    [&](const StageRecord& stage) {
                      Series series{.name = stage.load.label(), .points = {}};
                      for (const ServerSample& sample : stage.samples)
                        if (value(sample) >= 0)
                          series.points.emplace_back(sample.at_s, value(sample));
                      return series;
                    });
}

// What more users at once bring, and cost.
std::string sweep_plots(const Report& report) {
  Series all{.name = "output tok/s", .points = {}}, user{.name = "tok/s per user", .points = {}};
  Series ttft{.name = "TTFT p50", .points = {}};
  for (const StageRecord& stage : report.stages) {
    const StageSummary s = summarize(stage, report.goal);
    const double x = stage.load.kind == Load::Kind::Closed ? static_cast<double>(stage.load.users)
                                                           : stage.load.rate;
    all.points.emplace_back(x, s.per_second(s.output_tokens));
    user.points.emplace_back(x, s.user_tok_s.p50);
    ttft.points.emplace_back(x, s.ttft_s.p50 * 1e3);
  }
  if (all.points.size() < 2) return "";
  for (Series* series : {&all, &user, &ttft})
    std::sort(series->points.begin(), series->points.end());
  const std::string x = report.stages.front().load.kind == Load::Kind::Closed ? "requests at once"
                                                                              : "sessions a second";
  const auto plot = [&](const std::string& title, const std::string& unit, const Series& series) {
    return as_svg(
        {.title = title, .x_label = x, .y_label = unit, .series = {series}, .markers = true});
  };
  return plot("Throughput", "output tok/s", all) + plot("Speed for each user", "tok/s", user) +
         plot("Time to first token, median", "ms", ttft);
}

}  // namespace

std::string as_html(const Report& report) {
  std::string out(kHead);
  out += style_of_series();
  out += fmt::format(
      "</style>\n<title>Benchmark of {0}</title>\n<h1>{0}</h1>\n<p>{1}</p>\n<p>{2}, began "
      "{3}</p>\n",
      escape_html(report.model), escape_html(report.workload), escape_html(report.url),
      report.began);
  if (report.goal.any()) out += "<p>Goodput counts " + escape_html(report.goal.text()) + "</p>\n";
  out += "<h2>Summary</h2>\n" + summary_table(report) + "<h2>Plots</h2>\n<div class=\"plots\">\n";
  out += sweep_plots(report);
  out += as_svg(
      distributions(report, "Time to first token", "ms",
                    [](const RequestRecord& r, auto& all) { all.push_back(r.ttft_s() * 1e3); }));
  out += as_svg(distributions(report, "Time per output token (mean of each answer)", "ms",
                              [](const RequestRecord& r, auto& all) {
                                if (r.completion_tokens > 1) all.push_back(r.tpot_s() * 1e3);
                              }));
  out +=
      as_svg(distributions(report, "Between tokens", "ms", [](const RequestRecord& r, auto& all) {
        for (const double gap : r.gaps_s) all.push_back(gap * 1e3);
      }));
  out += as_svg(distributions(report, "End to end", "s",
                              [](const RequestRecord& r, auto& all) { all.push_back(r.e2e_s()); }));
  const auto over_time = [&](const std::string& title, const std::string& unit,
                             Series (*make)(const StageRecord&)) {
    return as_svg(
        for_stages(report, {.title = title, .x_label = "s", .y_label = unit, .series = {}}, make));
  };
  out += over_time("Pieces of answers over time", "a second", tokens_over_time);
  out += over_time("Requests in flight", "requests", in_flight);
  const bool has_turns =
      std::any_of(report.stages.begin(), report.stages.end(), [](const StageRecord& stage) {
        return std::any_of(stage.requests.begin(), stage.requests.end(),
                           [](const RequestRecord& record) { return record.turn > 0; });
      });
  if (has_turns)
    out += as_svg(for_stages(report,
                             {.title = "Time to first token by turn, median",
                              .x_label = "turn",
                              .y_label = "ms",
                              .series = {},
                              .markers = true},
                             by_turn));
  out += as_svg(samples(report, "The server's memory", "MiB", [](const ServerSample& sample) {
    return sample.resident_bytes < 0 ? -1 : sample.resident_bytes / (1 << 20);
  }));
  out +=
      as_svg(samples(report, "The server's KV cache", "% in use", [](const ServerSample& sample) {
        return sample.kv_usage < 0 ? -1 : sample.kv_usage * 100;
      }));
  out += as_svg(samples(report, "Requests that wait in the server", "requests",
                        [](const ServerSample& sample) { return sample.waiting; }));
  return out + "</div>\n</html>\n";
}

}  // namespace millrace::loadgen
