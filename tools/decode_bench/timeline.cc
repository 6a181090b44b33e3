#include "timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/json.h"

namespace millrace {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

const char* name_of(const DecodePlan& plan, std::size_t phase) {
  switch (plan.phases[phase].kind) {
    case DecodePhaseKind::Conv:
      return "in_proj, conv";
    case DecodePhaseKind::Qkv:
      return "q, k, v";
    case DecodePhaseKind::Attention:
      return "attention";
    case DecodePhaseKind::Residual:
      return plan.phases[phase - 1].kind == DecodePhaseKind::Swiglu ? "w2" : "out_proj";
    case DecodePhaseKind::Swiglu:
      return "w1, w3";
    case DecodePhaseKind::Head:
      return "head";
  }
  return "";
}

}  // namespace

Timeline::Timeline(const DecodePlan& plan, std::vector<std::int64_t> stamps, double microseconds)
    : plan_(plan), stamps_(std::move(stamps)) {
  // A phase opens everywhere at about the same time: that sets the clocks.
  for (int p = 0; p < plan_.processors; ++p) {
    std::vector<double> ahead;
    for (std::size_t phase = 1; phase < plan_.phases.size(); ++phase)
      ahead.push_back(
          static_cast<double>(stamp(p, phase, kStampOpen) - stamp(0, phase, kStampOpen)));
    starts_.push_back(stamp(0, 1, kStampOpen) + static_cast<std::int64_t>(median(ahead)));
  }
  const std::size_t last = plan_.phases.size() - 1;
  double ticks = 1;
  for (int p = 0; p < plan_.processors; ++p)
    if (took_part(p, last)) ticks = std::max(ticks, at(p, last, kStampPublished));
  ticks_per_microsecond_ = ticks / microseconds;
}

std::int64_t Timeline::stamp(int processor, std::size_t phase, int which) const {
  return stamps_[(static_cast<std::size_t>(processor) * plan_.phases.size() + phase) *
                     kDecodeStamps +
                 static_cast<std::size_t>(which)];
}

double Timeline::at(int processor, std::size_t phase, int which) const {
  return static_cast<double>(stamp(processor, phase, which) -
                             starts_[static_cast<std::size_t>(processor)]) /
         ticks_per_microsecond_;
}

bool Timeline::took_part(int processor, std::size_t phase) const {
  return stamp(processor, phase, kStampLoaded) != 0 && stamp(processor, phase, kStampLast) != 0 &&
         stamp(processor, phase, kStampPublished) != 0;
}

std::vector<Timeline::Slice> Timeline::slices(int processor, std::size_t phase) const {
  if (phase == 0 || !took_part(processor, phase)) return {};
  const auto t = [&](int which) { return at(processor, phase, which); };
  // Attention has no first tile.
  const bool attends = plan_.phases[phase].kind == DecodePhaseKind::Attention;
  const double first = attends ? t(kStampLoaded) : t(kStampFirst);
  return {{"input", "#e8a33d", t(kStampOpen), t(kStampLoaded)},
          {"first tile", "#c0392b", t(kStampLoaded), first},
          {"multiply", attends ? "#8e6bbf" : "#3d7edb", first, t(kStampLast)},
          {"output", "#4caf50", t(kStampLast), t(kStampPublished)}};
}

std::string Timeline::table() const {
  struct Row {
    int phases = 0;
    double bytes = 0;
    std::vector<double> barrier, parts[4];
  };
  std::map<std::tuple<int, std::string>, Row> rows;
  for (std::size_t phase = 1; phase < plan_.phases.size(); ++phase) {
    const PlannedPhase& planned = plan_.phases[phase];
    Row& row = rows[{static_cast<int>(planned.kind), name_of(plan_, phase)}];
    ++row.phases;
    row.bytes = static_cast<double>(planned.bytes());
    for (int p = 0; p < plan_.processors; ++p) {
      const std::vector<Slice> all = slices(p, phase);
      for (std::size_t i = 0; i < all.size(); ++i)
        row.parts[i].push_back(all[i].end - all[i].begin);
      if (!all.empty() && took_part(p, phase - 1))
        row.barrier.push_back(all[0].begin - at(p, phase - 1, kStampPublished));
    }
  }
  std::string text =
      fmt::format("{:<14} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "us, median", "phases",
                  "MB", "barrier", "input", "1st tile", "multiply", "output");
  for (const auto& [key, row] : rows)
    text += fmt::format("{:<14} {:>6} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f}\n",
                        std::get<1>(key), row.phases, row.bytes * 1e-6, median(row.barrier),
                        median(row.parts[0]), median(row.parts[1]), median(row.parts[2]),
                        median(row.parts[3]));
  return text;
}

std::string Timeline::svg(int every) const {
  constexpr double kScale = 12;  // pixels a microsecond
  constexpr int kHeight = 8;
  const int rows = (plan_.processors + every - 1) / every;
  double end = 0;
  std::string body;
  for (int row = 0; row < rows; ++row)
    for (std::size_t phase = 1; phase < plan_.phases.size(); ++phase)
      for (const Slice& slice : slices(row * every, phase)) {
        end = std::max(end, slice.end);
        if (slice.end <= slice.begin) continue;
        body += fmt::format(
            "<rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"/>\n",
            slice.begin * kScale, 40 + row * kHeight, (slice.end - slice.begin) * kScale,
            kHeight - 1, slice.colour);
      }
  std::string labels;
  for (std::size_t phase = 1; phase < plan_.phases.size(); ++phase)
    labels += fmt::format("<text x=\"{:.1f}\" y=\"34\">{}</text>\n",
                          at(0, phase, kStampOpen) * kScale, name_of(plan_, phase));
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{}\" "
      "font-family=\"sans-serif\" font-size=\"9\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#f4f4f4\"/>\n"
      "<text x=\"4\" y=\"14\" font-size=\"12\">{:.0f} us, every {}th multiprocessor. Orange: "
      "loads its input; red: waits for its first tile; blue: multiplies; violet: attends; green: "
      "hands its output on; grey: waits for the others</text>\n{}{}</svg>\n",
      end * kScale + 8, 48 + rows * kHeight, end, every, labels, body);
}

std::string Timeline::perfetto() const {
  Json events = Json::array();
  for (int p = 0; p < plan_.processors; ++p)
    for (std::size_t phase = 1; phase < plan_.phases.size(); ++phase) {
      const PlannedPhase& planned = plan_.phases[phase];
      for (const Slice& slice : slices(p, phase))
        events.push_back({{"name", fmt::format("{}: {}", name_of(plan_, phase), slice.name)},
                          {"ph", "X"},
                          {"pid", 0},
                          {"tid", p},
                          {"ts", slice.begin},
                          {"dur", std::max(0.0, slice.end - slice.begin)},
                          {"args", {{"layer", planned.layer}, {"phase", phase}}}});
    }
  return Json{{"traceEvents", events}}.dump();
}

}  // namespace millrace
