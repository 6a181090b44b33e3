#include <cmath>
#include <limits>

#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/sample/sample.h"

namespace millrace {
namespace {

struct Sizes {
  std::string what;
  std::int64_t vocab, rows;
  SampleRow row;  // what all rows share
  bool full_size = false;
};

class SampleInstance final : public CaseInstance<Sample> {
 public:
  SampleInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        first_logits_(random_floats(random_, s.rows * stride(), 9.0f)),
        first_history_(static_cast<std::size_t>((s.rows + 1) * s.vocab)),
        results_(static_cast<std::size_t>(s.rows + 2)),
        sampled_(static_cast<std::size_t>(s.rows + 1)),
        workspace_(static_cast<std::size_t>(sample_workspace_bytes(s.rows, s.vocab) / 4)),
        masks_(static_cast<std::size_t>((s.rows + 1) * sample_mask_words(s.vocab))) {
    if (s.what == "ties")
      for (float& logit : first_logits_) logit = std::round(logit / 3);
    if (s.what == "flat") std::fill(first_logits_.begin(), first_logits_.end(), -2.5f);
    if (s.what == "holes")
      for (std::size_t i = 0; i < first_logits_.size(); ++i)
        if (i % 7 != 3) first_logits_[i] = -std::numeric_limits<float>::infinity();
    if (s.what == "damaged") first_logits_[static_cast<std::size_t>(s.vocab / 2)] = std::nanf("");
    for (std::uint16_t& seen : first_history_)
      if (random_.below(3) == 0)
        seen = static_cast<std::uint16_t>(random_.below(3) + random_.below(2) * kHistoryInPrompt);
    first_history_[static_cast<std::size_t>(s.vocab)] = kHistoryMostTimes;
    // Few tokens, many, or none: then the first is chosen.
    for (std::size_t i = 0; i < masks_.size(); ++i)
      masks_[i] = s.what == "masked, few"  ? (i % 29 == 5 ? 1u << (i % 32) : 0)
                  : s.what == "masked out" ? 0
                                           : static_cast<std::uint32_t>(random_.bits());
    for (std::int64_t t = 0; t < s.rows; ++t) {
      SampleRow row = s.row;
      // In another order than the rows; some have none.
      if (s.what.starts_with("masked") && t % 4 != 3)
        row.mask = static_cast<std::int32_t>(s.rows - t);
      row.seed = random_.bits();
      row.position = random_.below(1 << 20);
      // Slots and results in another order than the rows; the third is somebody else's.
      row.slot = t == 2 ? -1 : static_cast<std::int32_t>(s.rows - t);
      row.result = static_cast<std::int32_t>((t + 1) % s.rows);
      row.kept = t != 3;
      rows_.push_back(row);
    }
  }

 protected:
  Sample::Key key() const override { return {activation(), s_.vocab}; }
  SampleParams params(std::int64_t) override {
    return {.logits = {logits_.data(), s_.vocab, stride(), DType::F32},
            .samples = rows_.data(),
            .masks = masks_.data(),
            .history = history_.data(),
            .sampled = sampled_.data(),
            .results = results_.data(),
            .workspace = workspace_.data(),
            .rows = s_.rows};
  }
  std::vector<CaseMemory> memory() override {
    return {written_memory(logits_),   read_memory(rows_),       read_memory(masks_),
            written_memory(history_),  written_memory(sampled_), written_memory(results_),
            written_memory(workspace_)};
  }
  void relocate(SampleParams& p, const CaseImageCopy& image) override {
    image.move(p.logits, p.samples, p.masks, p.history, p.sampled, p.results, p.workspace);
  }
  void reset() override {
    logits_ = first_logits_;
    history_ = first_history_;
    poison(results_.data(), DType::I32, std::ssize(results_));
    poison(sampled_.data(), DType::I32, std::ssize(sampled_));
  }
  std::vector<CaseOutput> outputs() const override {
    const std::int64_t skipped = s_.rows > 2 ? 1 : 0;
    const std::int64_t not_kept = s_.rows > 3 ? 1 : 0;
    return {{"results", results_.data(), DType::I32, std::ssize(results_), 2 + skipped},
            {"sampled", sampled_.data(), DType::I32, std::ssize(sampled_), 1 + skipped + not_kept},
            {"history", history_.data(), DType::BF16, std::ssize(history_), 0},
            {"logits", logits_.data(), DType::F32, std::ssize(logits_), 0}};
  }
  std::vector<double> tolerance(std::size_t output) const override {
    if (output != 3) return {};
    // A product or quotient, and the sum of two penalties subtracted.
    std::vector<double> allowed;
    for (const float logit : logits_) allowed.push_back((std::abs(logit) + 8) * 4 * kRounding);
    return allowed;
  }

 private:
  std::int64_t stride() const { return case_stride(s_.vocab); }

  Sizes s_;
  CaseRandom random_{23};
  std::vector<float> first_logits_;
  std::vector<std::uint16_t> first_history_;
  std::vector<float> logits_ = first_logits_;
  std::vector<std::uint16_t> history_ = first_history_;
  std::vector<SampleRow> rows_;
  std::vector<std::int32_t> results_, sampled_, workspace_;
  std::vector<std::uint32_t> masks_;
};

}  // namespace

std::vector<OpCase> sample_cases() {
  const float all = std::numeric_limits<float>::infinity();
  const SampleRow greedy = {};
  const SampleRow plain = {.inverse_temperature = 1, .min_p_distance = all};
  const SampleRow usual = {.inverse_temperature = 1 / 0.3f,
                           .min_p_distance = 0.57f,
                           .repetition = 1.05f,
                           .uses_history = 1};
  const SampleRow penalties = {.inverse_temperature = 0.2f,
                               .min_p_distance = all,
                               .repetition = 1.3f,
                               .presence = 0.4f,
                               .frequency = 0.25f,
                               .uses_history = 1};
  const SampleRow top_k = {.inverse_temperature = 0.5f, .min_p_distance = all, .top_k = 20};
  const SampleRow top_p = {.top_p = 0.8, .inverse_temperature = 0.5f, .min_p_distance = all};
  const SampleRow both = {
      .top_p = 0.9, .inverse_temperature = 0.7f, .min_p_distance = 6, .top_k = 40};
  const std::vector<Sizes> sizes = {{"greedy", 37, 5, greedy},
                                    {"greedy", 9000, 3, greedy},
                                    {"ties", 9000, 9, greedy},
                                    {"damaged", 5000, 3, greedy},
                                    {"plain", 37, 9, plain},
                                    {"plain", 9000, 9, plain},
                                    {"flat", 9000, 9, plain},
                                    {"holes", 9000, 9, plain},
                                    {"usual", 9000, 9, usual},
                                    {"penalties", 5000, 9, penalties},
                                    {"top k", 37, 9, top_k},
                                    {"top k", 9000, 9, top_k},
                                    {"ties", 9000, 9, top_k},
                                    {"flat", 9000, 9, top_k},
                                    {"holes", 50, 5, top_k},
                                    {"top p", 37, 9, top_p},
                                    {"top p", 9000, 9, top_p},
                                    {"ties", 9000, 9, top_p},
                                    {"flat", 9000, 9, top_p},
                                    {"top k and p", 9000, 9, both},
                                    {"ties", 9000, 9, both},
                                    {"damaged", 5000, 3, both},
                                    {"masked", 37, 9, greedy},
                                    {"masked, greedy", 9000, 9, greedy},
                                    {"masked", 9000, 9, plain},
                                    {"masked, few", 9000, 9, plain},
                                    {"masked, few", 9000, 5, both},
                                    {"masked out", 5000, 5, plain},
                                    {"masked, penalties", 5000, 9, penalties},
                                    {"masked, both", 9000, 9, both},
                                    {"masked", 65536, 1, usual, true},
                                    {"masked", 65536, 100, usual, true},
                                    {"greedy", 65536, 1, greedy, true},
                                    {"greedy", 65536, 100, greedy, true},
                                    {"usual", 65536, 1, usual, true},
                                    {"usual", 65536, 100, usual, true},
                                    {"top k and p", 65536, 1, both, true},
                                    {"top k and p", 65536, 100, both, true}};
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes) {
    const auto elements = static_cast<double>(s.rows * s.vocab);
    cases.push_back(
        {fmt::format("{}, {} tokens, {} rows, k {}, p {}", s.what, s.vocab, s.rows, s.row.top_k,
                     s.row.top_p),
         "F32", s.full_size, elements * (s.row.uses_history ? 6 : 4), 0, 0,
         [s](DType activation) { return std::make_unique<SampleInstance>(s, activation); }});
  }
  return cases;
}

}  // namespace millrace
