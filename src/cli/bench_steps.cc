#include "cli/bench_steps.h"

#include <fmt/format.h>

#include <chrono>

#include "base/check.h"

namespace millrace::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

double StepBench::run(const StepTest& test) {
  return test.prefill > 0 ? run_prefill(test) : run_decode(test);
}

double StepBench::run_prefill(const StepTest& test) {
  SequenceMemory memory = open(test.prefill);
  std::vector<TokenId> chunk;
  const Clock::time_point start = Clock::now();
  for (std::int64_t first = 0; first < test.prefill;) {
    const std::int64_t count = std::min(parts_.sizes.limits.max_rows, test.prefill - first);
    chunk.resize(static_cast<std::size_t>(count));
    for (TokenId& token : chunk) token = next_token();
    first += count;
    const bool last = first == test.prefill;
    const StepSpan span = {&memory, chunk, SpanKind::Prefill, last ? Logits::Last : Logits::None,
                           last && parts_.runner->can_sample() ? &greedy_ : nullptr};
    parts_.runner->run({&span, 1});
  }
  return seconds_since(start);
}

double StepBench::run_decode(const StepTest& test) {
  std::vector<SequenceMemory> memories;
  for (std::int64_t i = 0; i < test.batch; ++i) {
    memories.push_back(open(test.context + test.steps + 1));
    // The cache's content does not matter for speed: positions count as filled.
    memories.back().appended(test.context);
  }
  std::vector<TokenId> tokens(memories.size());
  std::vector<StepSpan> spans;
  const Clock::time_point start = Clock::now();
  for (std::int64_t step = 0; step < test.steps; ++step) {
    spans.clear();
    for (std::size_t i = 0; i < memories.size(); ++i) {
      tokens[i] = next_token();
      spans.push_back({&memories[i],
                       {&tokens[i], 1},
                       SpanKind::Decode,
                       Logits::Last,
                       parts_.runner->can_sample() ? &greedy_ : nullptr});
    }
    parts_.runner->run(spans);
  }
  return seconds_since(start) / static_cast<double>(test.steps);
}

double StepBench::device_seconds(const StepTest& test) {
  if (parts_.device->uses_host_memory() || test.prefill > 0) return 0;
  return parts_.runner->time_repeats(static_cast<int>(test.steps));
}

BenchRow StepBench::row_of(const StepTest& test) const {
  BenchRow row;
  if (test.prefill > 0) {
    row.test = fmt::format("prefill {}", test.prefill);
    row.kind = "prefill";
    row.tokens = test.prefill;
    const std::int64_t chunk = parts_.sizes.limits.max_rows;
    for (std::int64_t first = 0; first < test.prefill; first += chunk) {
      const std::int64_t count = std::min(chunk, test.prefill - first);
      const double context = static_cast<double>(first) + static_cast<double>(count + 1) / 2;
      add_work(row, count, first + count == test.prefill ? 1 : 0, context);
    }
    // A prompt's keys and values are shared by its rows; counting them per row would flatter.
    row.kv_bytes =
        static_cast<double>(test.prefill * parts_.cache->geometry().kv_bytes_per_token());
    return row;
  }
  row.test = fmt::format("decode b={} ctx={}", test.batch, test.context);
  row.kind = "decode";
  row.batch = test.batch;
  row.context = test.context;
  row.tokens = test.batch;
  add_work(row, test.batch, test.batch,
           static_cast<double>(test.context) + static_cast<double>(test.steps + 1) / 2);
  return row;
}

SequenceMemory StepBench::open(std::int64_t tokens) {
  std::optional<SequenceMemory> memory = SequenceMemory::open(*parts_.cache, parts_.sizes.context);
  check(memory && memory->reserve(tokens), "the bench's cache is too small");
  return std::move(*memory);
}

void StepBench::add_work(BenchRow& row, std::int64_t rows, std::int64_t logit_rows,
                         double context) const {
  const Lfm2::Work work = parts_.model->work(rows, logit_rows, context, parts_.sizes.kv_dtype);
  row.weight_bytes += work.weight_bytes;
  row.kv_bytes += work.kv_bytes;
  row.flops += work.flops;
}

TokenId StepBench::next_token() {
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  return static_cast<TokenId>((random_ >> 33) %
                              static_cast<std::uint64_t>(parts_.files.config.vocab));
}

}  // namespace millrace::cli
