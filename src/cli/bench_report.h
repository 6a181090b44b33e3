// What a bench measured, and the three ways to show it: table, JSON, SVG plot.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace millrace::cli {

struct Spread {
  double median = 0, min = 0, max = 0;
};
Spread spread_of(std::vector<double> values);

struct BenchRow {
  std::string test;  // "prefill 512", "decode b=1 ctx=1024"
  std::string kind;  // "prefill" or "decode"
  std::int64_t batch = 1;
  std::int64_t context = 0;  // cached positions before the step
  std::int64_t tokens = 0;   // computed by one step
  Spread step_seconds;
  Spread peer_rate;           // tokens a second of the peer at the same; 0: not measured
  double device_seconds = 0;  // of one step without the host between steps; 0: not measured
  double weight_bytes = 0, kv_bytes = 0, flops = 0;  // counted, of one step

  double tokens_per_second() const { return static_cast<double>(tokens) / step_seconds.median; }
  // How many times as fast as the peer; 0: not measured.
  double ratio() const { return peer_rate.median > 0 ? tokens_per_second() / peer_rate.median : 0; }
  double gb_s() const { return (weight_bytes + kv_bytes) / step_seconds.median / 1e9; }
  double gflop_s() const { return flops / step_seconds.median / 1e9; }
};

struct BenchReport {
  std::string model;
  std::string device;
  std::string weights;  // "BF16"
  int threads = 1;
  std::int64_t model_bytes = 0;
  double load_seconds = 0;
  double read_gb_s = 0;  // ceilings of this machine, measured in this run
  double peak_gflop_s = 0;
  std::string peer;  // what it calls itself; empty: none
  std::vector<BenchRow> rows;
};

// The larger of the two fractions is the nearer limit: memory for decode, arithmetic for prefill.
struct Fraction {
  double value;
  const char* of;  // "read" or "FLOP"
};
Fraction fraction_of_limit(const BenchReport& report, const BenchRow& row);

std::string as_table(const BenchReport& report);
Json as_json(const BenchReport& report);
// Bars of tok/s for each test, with the limit that memory or arithmetic sets drawn beside them.
std::string as_svg(const BenchReport& report);

}  // namespace millrace::cli
