#include "server/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace millrace::server {

void Histogram::observe(double value) {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(at)];
  sum_ += value;
  ++count_;
}

// Writes metric families; the label model_name goes into each of ours.
class MetricsText {
 public:
  explicit MetricsText(std::string_view model) : label_("model_name=\"" + escaped(model) + "\"") {}

  static std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c == '\\' || c == '"') out += '\\';
      if (c == '\n')
        out += "\\n";
      else
        out += c;
    }
    return out;
  }

  void family(std::string_view name, std::string_view type, std::string_view help) {
    out_ += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  void sample(std::string_view name, std::string_view labels, double value) {
    out_ +=
        fmt::format("{}{{{}{}{}}} {}\n", name, label_, labels.empty() ? "" : ",", labels, value);
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    family(name, "gauge", help);
    sample(name, "", value);
  }
  void counter(std::string_view name, std::string_view help, double value) {
    family(name, "counter", help);
    sample(name, "", value);
  }
  void histogram(std::string_view name, std::string_view help, const Histogram& histogram) {
    family(name, "histogram", help);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= histogram.bounds_.size(); ++i) {
      below += histogram.counts_[i];
      const std::string bound =
          i < histogram.bounds_.size() ? fmt::format("{}", histogram.bounds_[i]) : "+Inf";
      sample(fmt::format("{}_bucket", name), fmt::format("le=\"{}\"", bound),
             static_cast<double>(below));
    }
    sample(fmt::format("{}_sum", name), "", histogram.sum_);
    sample(fmt::format("{}_count", name), "", static_cast<double>(histogram.count_));
  }
  // Without our label: the process's own, as every Prometheus client names them.
  void process(std::string_view name, std::string_view type, std::string_view help, double value) {
    family(name, type, help);
    out_ += fmt::format("{} {}\n", name, value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string label_;
  std::string out_;
};

namespace {

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t size = 0, resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_descriptors() {
  std::error_code error;
  double count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    ++count;
  return count;
}

}  // namespace

std::string Metrics::text(std::string_view model, const EngineStats& engine) const {
  MetricsText text(model);
  const auto number = [](auto value) { return static_cast<double>(value); };
  text.gauge("vllm:num_requests_running", "Requests whose tokens are being computed.",
             number(engine.running));
  text.gauge("vllm:num_requests_waiting", "Requests that wait for room.", number(engine.waiting));
  text.gauge(
      "vllm:kv_cache_usage_perc", "Share of the KV cache in use by running requests; 1 is all.",
      engine.kv_capacity_tokens > 0 ? number(engine.kv_tokens) / number(engine.kv_capacity_tokens)
                                    : 0);
  text.counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
               number(engine.prompt_tokens));
  text.counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.",
               number(engine.cached_tokens));
  text.counter("vllm:prompt_tokens_total", "Prompt tokens of requests that began.",
               number(engine.prompt_tokens));
  text.counter("vllm:generation_tokens_total", "Tokens generated.",
               number(engine.completion_tokens));
  text.family("vllm:request_success_total", "counter", "Answers that ended, by finish reason.");
  for (const auto& [reason, count] : finished)
    text.sample("vllm:request_success_total", fmt::format("finished_reason=\"{}\"", reason),
                number(count));
  text.histogram("vllm:time_to_first_token_seconds", "From a request's arrival to its first token.",
                 time_to_first_token);
  text.histogram("vllm:inter_token_latency_seconds", "Between tokens of an answer.", inter_token);
  text.histogram("vllm:request_time_per_output_token_seconds",
                 "An answer's mean time per token behind the first.", per_output_token);
  text.histogram("vllm:e2e_request_latency_seconds", "From a request's arrival to its last token.",
                 end_to_end);
  text.histogram("vllm:request_queue_time_seconds", "From arrival to being admitted.", queue_time);
  text.histogram("vllm:request_prefill_time_seconds", "From being admitted to the first token.",
                 prefill_time);
  text.histogram("vllm:request_decode_time_seconds", "From the first token to the last.",
                 decode_time);
  text.histogram("vllm:request_inference_time_seconds", "From being admitted to the last token.",
                 inference_time);
  text.histogram("vllm:request_prompt_tokens", "Tokens of prompts.", prompt_tokens);
  text.histogram("vllm:request_generation_tokens", "Tokens of answers.", generation_tokens);

  text.counter("vllm:num_preemptions_total", "Times a request was put off for want of memory.",
               number(engine.preemptions));
  text.counter("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed ahead.",
               number(engine.draft_tokens));
  text.counter("vllm:spec_decode_num_accepted_tokens_total", "Of them, those that were right.",
               number(engine.accepted_draft_tokens));
  text.gauge("millrace_prefix_cache_blocks", "Blocks of KV that the prefix cache holds.",
             number(engine.cached_blocks));
  text.gauge("millrace_kept_conv_states", "Conv states that the prefix cache holds.",
             number(engine.conv_states));
  text.counter("millrace_replayed_tokens_total", "Tokens run again to rebuild conv states.",
               number(engine.replayed_tokens));
  text.counter("millrace_steps_total", "Steps of the engine.", number(engine.steps));
  text.gauge("millrace_kv_capacity_tokens", "Positions the KV cache has room for.",
             number(engine.kv_capacity_tokens));
  text.gauge("millrace_max_running_requests", "Most requests in one step.",
             number(engine.max_running));
  text.gauge("millrace_connections", "Open connections.", number(connections));
  text.gauge("millrace_streams", "Streamed answers that are being sent.", number(streams));
  text.counter("millrace_rejected_requests_total", "Requests answered with 429.", number(rejected));
  text.counter("millrace_disconnected_requests_total", "Requests whose client left before the end.",
               number(disconnected));
  text.counter("millrace_tool_calls_total", "Tool calls parsed.", number(tool_calls));
  text.counter("millrace_tool_call_problems_total", "Tool calls that could not be parsed.",
               number(tool_call_problems));
  text.family("millrace_http_requests_total", "counter", "HTTP requests, by path and status.");
  for (const auto& [key, count] : http)
    text.sample("millrace_http_requests_total",
                fmt::format("path=\"{}\",status=\"{}\"", key.first, key.second), number(count));

  text.process("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
  text.process("process_cpu_seconds_total", "counter", "CPU time.", cpu_seconds());
  text.process("process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
  return text.take();
}

}  // namespace millrace::server
