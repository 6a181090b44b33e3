#include "cli/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "base/units.h"

namespace millrace::cli {

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

Fraction fraction_of_limit(const BenchReport& report, const BenchRow& row) {
  if (report.read_gb_s == 0) return {0, "not measured"};
  const double memory = row.gb_s() / report.read_gb_s;
  const double arithmetic =
      report.peak_gflop_s > 0 ? row.gflop_s() / report.peak_gflop_s : 0;  // of CPUs alone
  if (memory >= arithmetic) return {memory, "read"};
  return {arithmetic, "FLOP"};
}

std::string as_table(const BenchReport& report) {
  std::string out = fmt::format(
      "{} | {} weights, {} read a token | {} | {} threads | loaded in {}\n"
      "measured here: read {:.1f} GB/s",
      report.model, report.weights, format_bytes(static_cast<std::uint64_t>(report.model_bytes)),
      report.device, report.threads, format_seconds(report.load_seconds), report.read_gb_s);
  if (report.peak_gflop_s > 0)
    out += fmt::format(", {:.0f} GFLOP/s (f32 FMA)", report.peak_gflop_s);
  if (!report.peer.empty()) out += fmt::format("\npeer: {}", report.peer);
  out += "\n\n";
  out += fmt::format("{:<24} {:>10} {:>12} {:>19} {:>9} {:>9} {:>14}\n", "test", "tok/s",
                     "ms a step", "[min, max]", "GB/s", "GFLOP/s", "of limit");
  // The device's own time: its work queued back to back, the host out of the way.
  const bool device_times = std::any_of(report.rows.begin(), report.rows.end(),
                                        [](const BenchRow& row) { return row.device_seconds > 0; });
  if (device_times) {
    out.pop_back();
    out += fmt::format(" {:>12} {:>12}\n", "device ms", "device GB/s");
  }
  if (!report.peer.empty()) {
    out.pop_back();
    out += fmt::format(" {:>10} {:>17} {:>7}\n", "peer tok/s", "[min, max]", "ratio");
  }
  for (const BenchRow& row : report.rows) {
    const Fraction fraction = fraction_of_limit(report, row);
    out += fmt::format(
        "{:<24} {:>10.1f} {:>12.3f} {:>19} {:>9.1f} {:>9.1f} {:>14}\n", row.test,
        row.tokens_per_second(), row.step_seconds.median * 1e3,
        fmt::format("[{:.2f}, {:.2f}]", row.step_seconds.min * 1e3, row.step_seconds.max * 1e3),
        row.gb_s(), row.gflop_s(), fmt::format("{:.0f}% {}", fraction.value * 100, fraction.of));
    if (row.device_seconds > 0) {
      out.pop_back();
      out += fmt::format(" {:>12.4f} {:>12.1f}\n", row.device_seconds * 1e3,
                         (row.weight_bytes + row.kv_bytes) / row.device_seconds / 1e9);
    }
    if (row.ratio() > 0) {
      out.pop_back();
      out += fmt::format(" {:>10.1f} {:>17} {:>6.2f}x\n", row.peer_rate.median,
                         fmt::format("[{:.1f}, {:.1f}]", row.peer_rate.min, row.peer_rate.max),
                         row.ratio());
    }
  }
  return out;
}

Json as_json(const BenchReport& report) {
  Json rows = Json::array();
  for (const BenchRow& row : report.rows) {
    const Fraction fraction = fraction_of_limit(report, row);
    rows.push_back({{"test", row.test},
                    {"kind", row.kind},
                    {"batch", row.batch},
                    {"context", row.context},
                    {"tokens", row.tokens},
                    {"tokens_per_second", row.tokens_per_second()},
                    {"step_ms",
                     {{"median", row.step_seconds.median * 1e3},
                      {"min", row.step_seconds.min * 1e3},
                      {"max", row.step_seconds.max * 1e3}}},
                    {"device_step_ms", row.device_seconds * 1e3},
                    {"weight_bytes", row.weight_bytes},
                    {"kv_bytes", row.kv_bytes},
                    {"flops", row.flops},
                    {"gb_per_second", row.gb_s()},
                    {"gflop_per_second", row.gflop_s()},
                    {"fraction", fraction.value},
                    {"limit", fraction.of}});
    if (row.ratio() > 0) {
      rows.back()["peer_tokens_per_second"] = {
          {"median", row.peer_rate.median}, {"min", row.peer_rate.min}, {"max", row.peer_rate.max}};
      rows.back()["ratio"] = row.ratio();
    }
  }
  return {{"model", report.model},
          {"peer", report.peer.empty() ? Json() : Json(report.peer)},
          {"device", report.device},
          {"weights", report.weights},
          {"threads", report.threads},
          {"bytes_per_token", report.model_bytes},
          {"load_seconds", report.load_seconds},
          {"read_gb_per_second", report.read_gb_s},
          {"peak_gflop_per_second", report.peak_gflop_s},
          {"rows", std::move(rows)}};
}

std::string as_svg(const BenchReport& report) {
  constexpr int kWidth = 860;
  constexpr int kBar = 22;
  constexpr int kGap = 8;
  constexpr int kLeft = 190;
  constexpr int kTop = 64;
  const int rows = static_cast<int>(report.rows.size());
  const int height = kTop + rows * (kBar + kGap) + 30;
  const auto escape = [](const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
    return out;
  };
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
      "<text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"600\">{2} ({3})</text>\n"
      "<text x=\"16\" y=\"46\" fill=\"#555\">{4}, {5} threads. Bar: share of what memory or "
      "arithmetic allows here{6}.</text>\n",
      kWidth, height, escape(report.model), report.weights, escape(report.device), report.threads,
      report.peer.empty() ? "" : "; line: " + escape(report.peer));
  const int full = kWidth - kLeft - 150;
  for (int i = 0; i < rows; ++i) {
    const BenchRow& row = report.rows[static_cast<std::size_t>(i)];
    const Fraction fraction = fraction_of_limit(report, row);
    const int y = kTop + i * (kBar + kGap);
    const double share = std::clamp(fraction.value, 0.0, 1.0);
    out += fmt::format(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n"
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#e6e9ef\"/>\n"
        "<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"/>\n"
        "<text x=\"{}\" y=\"{}\">{:.1f} tok/s, {:.0f}% of {}</text>\n",
        kLeft - 10, y + 16, escape(row.test), kLeft, y, full, kBar, kLeft, y, share * full, kBar,
        row.kind == "prefill" ? "#c2703d" : "#3d6fc2", kLeft + full + 8, y + 16,
        row.tokens_per_second(), fraction.value * 100, fraction.of);
    if (row.ratio() > 0)  // a line where the peer's bar would end
      out += fmt::format(
          "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#222\" "
          "stroke-width=\"2\"/>\n",
          kLeft + std::clamp(share / row.ratio(), 0.0, 1.0) * full, y - 2, y + kBar + 2);
  }
  return out + "</svg>\n";
}

}  // namespace millrace::cli
