#include "loadgen/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millrace::loadgen {
namespace {

constexpr double kWidth = 560, kHeight = 300;
constexpr double kLeft = 64, kRight = 16, kTop = 34, kBottom = 48;

// 1, 2 or 5 times a power of ten, so that about `count` steps make `range`.
double nice_step(double range, double count) {
  const double raw = range / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double part = raw / power;
  return (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10) * power;
}

std::string tick_text(double value) {
  if (std::abs(value) >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (std::abs(value) >= 1e4) return fmt::format("{:g}k", value / 1e3);
  return fmt::format("{:g}", std::abs(value) < 1e-12 ? 0.0 : value);
}

struct Axis {
  double low, high, from, to;  // values, and where they are drawn
  bool log = false;

  double at(double value) const {
    const auto bent = [&](double v) { return log ? std::log10(v) : v; };
    const double share = (bent(value) - bent(low)) / (bent(high) - bent(low));
    return from + (to - from) * std::clamp(share, 0.0, 1.0);
  }
  std::vector<double> ticks() const {
    std::vector<double> ticks;
    if (log) {
      const int last = static_cast<int>(std::floor(std::log10(high)));
      for (int digits = static_cast<int>(std::floor(std::log10(low))); digits <= last; ++digits)
        for (const double part : {1.0, 2.0, 5.0})
          if (const double tick = std::pow(10, digits) * part;
              tick >= low * 0.999 && tick <= high * 1.001)
            ticks.push_back(tick);
      return ticks;
    }
    const double step = nice_step(high - low, 5);
    const double first = std::ceil(low / step) * step;
    const int count = static_cast<int>(std::floor((high + step * 1e-6 - first) / step)) + 1;
    for (int i = 0; i < count; ++i) ticks.push_back(first + i * step);
    return ticks;
  }
};

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

Series distribution(std::string name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  Series series{.name = std::move(name), .points = {}};
  const std::size_t steps = std::min<std::size_t>(values.size(), 300);
  for (std::size_t i = 0; i < steps; ++i) {
    const std::size_t at = steps == 1 ? 0 : i * (values.size() - 1) / (steps - 1);
    series.points.emplace_back(values[at],
                               static_cast<double>(at + 1) / static_cast<double>(values.size()));
  }
  return series;
}

std::string as_svg(const Plot& plot) {
  double x_low = INFINITY, x_high = -INFINITY, y_high = plot.y_top;
  for (const Series& series : plot.series)
    for (const auto& [x, y] : series.points) {
      if (plot.log_x && x <= 0) continue;
      x_low = std::min(x_low, x);
      x_high = std::max(x_high, x);
      if (plot.y_top == 0) y_high = std::max(y_high, y);
    }
  if (!(x_low <= x_high)) return "";
  if (!plot.log_x) x_low = std::min(x_low, 0.0);
  if (x_high <= x_low) x_high = plot.log_x ? x_low * 2 : x_low + 1;
  if (y_high <= 0) y_high = 1;
  if (plot.y_top == 0) y_high *= 1.05;
  const Axis x{
      .low = x_low, .high = x_high, .from = kLeft, .to = kWidth - kRight, .log = plot.log_x};
  const Axis y{.low = 0, .high = y_high, .from = kHeight - kBottom, .to = kTop};

  std::string out = fmt::format(
      "<figure><svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\">\n"
      "<text class=\"title\" x=\"{:g}\" y=\"20\">{}</text>\n",
      kWidth, kHeight, escape_html(plot.title), kLeft, escape_html(plot.title));
  for (const double tick : y.ticks())
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:g}\" x2=\"{1:g}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text class=\"tick\" x=\"{3:g}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, kWidth - kRight, y.at(tick), kLeft - 6, y.at(tick) + 4, tick_text(tick));
  double last = -100;
  for (const double tick : x.ticks()) {
    if (x.at(tick) - last < 36) continue;  // no room for its number
    last = x.at(tick);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:g}\" y2=\"{2:g}\"/>"
        "<text class=\"tick\" x=\"{0:.1f}\" y=\"{3:g}\" text-anchor=\"middle\">{4}</text>\n",
        last, kTop, kHeight - kBottom, kHeight - kBottom + 16, tick_text(tick));
  }
  out += fmt::format(
      "<text class=\"label\" x=\"{:g}\" y=\"{:g}\" text-anchor=\"end\">{}</text>\n"
      "<text class=\"label\" transform=\"translate(14 {:g}) rotate(-90)\" "
      "text-anchor=\"middle\">{}</text>\n",
      kWidth - kRight, kHeight - 10, escape_html(plot.x_label), (kTop + kHeight - kBottom) / 2,
      escape_html(plot.y_label));
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    std::string points, dots;
    for (const auto& [px, py] : series.points) {
      if (plot.log_x && px <= 0) continue;
      points += fmt::format("{:.1f},{:.1f} ", x.at(px), y.at(py));
      if (plot.markers)
        dots += fmt::format(
            "<circle class=\"c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"><title>{}: {:g}, "
            "{:.4g}</title></circle>",
            i % 8, x.at(px), y.at(py), escape_html(series.name), px, py);
    }
    out += fmt::format("<polyline class=\"s{}\" points=\"{}\"><title>{}</title></polyline>{}\n",
                       i % 8, points, escape_html(series.name), dots);
  }
  out += "</svg>";
  if (plot.series.size() > 1) {
    out += "<figcaption>";
    for (std::size_t i = 0; i < plot.series.size(); ++i)
      out += fmt::format("<span><i class=\"k{}\"></i>{}</span> ", i % 8,
                         escape_html(plot.series[i].name));
    out += "</figcaption>";
  }
  return out + "</figure>\n";
}

}  // namespace millrace::loadgen
