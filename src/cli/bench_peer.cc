#include "cli/bench_peer.h"

#include <fmt/format.h>

#include "base/child_process.h"
#include "base/json.h"

namespace millrace::cli {
namespace {

// The last line that says something.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "(it said nothing)";
  const std::size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

}  // namespace

Result<double> LlamaBench::run(const PeerTest& test) {
  const std::int64_t steps = test.prefill > 0 ? 0 : test.steps;
  std::vector<std::string> command = {options_.program,
                                      "-m",
                                      options_.model,
                                      "-t",
                                      std::to_string(options_.threads),
                                      "-r",
                                      "1",
                                      "-o",
                                      "json",
                                      "-p",
                                      std::to_string(test.prefill),
                                      "-n",
                                      std::to_string(steps)};
  // Versions that do not know of depth can still be asked to decode from nothing.
  if (test.context > 0) command.insert(command.end(), {"-d", std::to_string(test.context)});
  command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
  const ChildOutput output = MILLRACE_TRY(run_child(command));
  if (output.status != 0)
    return fail(ErrorCode::Unavailable, "{}: ended with status {}: {}", options_.program,
                output.status, last_line(output.error));
  const std::string origin = options_.program + "'s report";
  const Json report = MILLRACE_TRY(parse_json(output.out, origin));
  if (!report.is_array() || report.size() != 1 || !report.front().is_object())
    return fail(ErrorCode::Unsupported, "{}: should be a list of one test", origin);
  const Json& row = report.front();
  const std::int64_t prompt = MILLRACE_TRY(json_int(row, "n_prompt")).value_or(-1);
  const std::int64_t decoded = MILLRACE_TRY(json_int(row, "n_gen")).value_or(-1);
  const std::int64_t depth = MILLRACE_TRY(json_int(row, "n_depth")).value_or(0);
  const double rate = MILLRACE_TRY(json_number(row, "avg_ts")).value_or(0);
  if (prompt != test.prefill || decoded != steps || depth != test.context || !(rate > 0))
    return fail(ErrorCode::Unsupported,
                "{}: it is of n_prompt {}, n_gen {}, n_depth {} at {} tok/s; asked were {}, {}, {}",
                origin, prompt, decoded, depth, rate, test.prefill, steps, test.context);
  name_ = fmt::format("llama.cpp {} ({}), {}, {}",
                      MILLRACE_TRY(json_string(row, "build_commit")).value_or("?"),
                      MILLRACE_TRY(json_int(row, "build_number")).value_or(0),
                      MILLRACE_TRY(json_string(row, "model_type")).value_or("?"),
                      MILLRACE_TRY(json_string(row, "backends")).value_or("?"));
  return rate;
}

}  // namespace millrace::cli
