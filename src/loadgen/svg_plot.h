// Line plots as inline SVG, coloured by the page's style (classes and CSS variables).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace millrace::loadgen {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // ascending x
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_x = false;
  bool markers = false;  // a dot on every point
  double y_top = 0;      // 0: by the data
};

// For text between tags and in attributes.
std::string escape_html(std::string_view text);

std::string as_svg(const Plot& plot);

// The steps that a quantile of the values makes, as points (value, share), thinned to a few
// hundred.
Series distribution(std::string name, std::vector<double> values);

}  // namespace millrace::loadgen
