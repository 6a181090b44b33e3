#include "ops/attention/attention.h"
#include "ops/case_instance.h"
#include "ops/case_tables.h"

namespace millrace {
namespace {

struct Sizes {
  std::string what;
  int heads, kv_heads, head_dim;
  DType kv;
  std::vector<CaseSpan> spans;
  int window = 0;
  float q_size = 1.5f;
  bool full_size = false;
};

// First position that row i of a span attends to.
std::int64_t first_visible(const Sizes& s, const CaseSpan& span, std::int64_t i) {
  const std::int64_t position = span.position + i;
  return s.window > 0 ? std::max<std::int64_t>(0, position - s.window + 1) : 0;
}

class AttentionInstance final : public CaseInstance<Attention> {
 public:
  AttentionInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        batch_(random_, s.spans),
        elements_(batch_.blocks() * s.kv_heads * 16 * s.head_dim),
        copies_(s.full_size ? copies_beyond_cache(2 * bytes_of(s.kv, elements_)) : 1),
        q_(random_activations(random_, batch_.rows() * stride(), s.q_size)),
        out_(q_.size()),
        key_(random_, s.kv, copies_ * batch_.blocks() * s.kv_heads * 16, s.head_dim, 1.5f),
        value_(random_, s.kv, copies_ * batch_.blocks() * s.kv_heads * 16, s.head_dim, 1.5f) {
    poison_invisible();
  }

 protected:
  Attention::Key key() const override {
    return {activation(), s_.kv, s_.head_dim, s_.heads / s_.kv_heads};
  }
  AttentionParams params(std::int64_t run) override {
    return {.q = {q_.data(), s_.heads * s_.head_dim, stride(), DType::F32},
            .cache = cache(run % copies_),
            .out = {out_.data(), s_.heads * s_.head_dim, stride(), DType::F32},
            .batch = batch_.view(),
            .heads = s_.heads,
            .window = s_.window,
            .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(s_.head_dim))),
            .workspace = workspace_.data()};
  }
  std::vector<CaseMemory> memory() override {
    std::vector<CaseMemory> memory = {as_activation(read_memory(q_)), key_.memory(),
                                      value_.memory(), as_activation(written_memory(out_)),
                                      written_memory(workspace_)};
    batch_.add_memory(memory);
    return memory;
  }
  void relocate(AttentionParams& p, const CaseImageCopy& image) override {
    image.move(p.q, p.cache, p.out, p.batch, p.workspace);
  }
  void reset() override { poison(out_.data(), static_cast<std::int64_t>(out_.size())); }
  std::vector<CaseOutput> outputs() const override {
    return {{"out", out_.data(), DType::F32, static_cast<std::int64_t>(out_.size()),
             batch_.rows() * (stride() - s_.heads * s_.head_dim)}};
  }
  std::vector<double> tolerance(std::size_t) const override {
    std::vector<double> allowed(out_.size(), 0.0);
    for (std::size_t span = 0; span < s_.spans.size(); ++span)
      for (std::int64_t i = 0; i < s_.spans[span].count; ++i)
        for (int h = 0; h < s_.heads; ++h) row_tolerance(span, i, h, allowed);
    return allowed;
  }

 private:
  std::int64_t stride() const { return case_stride(s_.heads * s_.head_dim); }

  KvView cache(std::int64_t copy) const {
    // Kernels read the cache; its type is mutable for those that fill it.
    const std::int64_t at = copy * bytes_of(s_.kv, elements_);
    return {const_cast<char*>(key_.view().as<char>()) + at,
            const_cast<char*>(value_.view().as<char>()) + at,
            s_.kv_heads,
            s_.head_dim,
            16,
            s_.kv};
  }

  // Row of `key_` and `value_` that holds a position.
  std::int64_t row_of(std::size_t span, std::int64_t position, int kv_head) const {
    return (std::int64_t{batch_.block_of(span, position)} * s_.kv_heads + kv_head) * 16 +
           position % 16;
  }

  // NaN wherever no row may look: after a span's end, before its window, in others' blocks.
  void poison_invisible() {
    if (s_.full_size) return;
    std::vector<bool> visible(static_cast<std::size_t>(elements_ / s_.head_dim));
    for (std::size_t s = 0; s < s_.spans.size(); ++s) {
      const CaseSpan& span = s_.spans[s];
      for (std::int64_t p = first_visible(s_, span, 0); p < span.position + span.count; ++p)
        for (int h = 0; h < s_.kv_heads; ++h)
          visible[static_cast<std::size_t>(row_of(s, p, h))] = true;
    }
    const KvView all = cache(0);
    for (std::size_t row = 0; row < visible.size(); ++row) {
      if (visible[row]) continue;
      const std::int64_t at = bytes_of(s_.kv, static_cast<std::int64_t>(row) * s_.head_dim);
      poison(static_cast<char*>(all.key) + at, s_.kv, s_.head_dim);
      poison(static_cast<char*>(all.value) + at, s_.kv, s_.head_dim);
    }
  }

  // With p the softmax and S = sum of p |v|: an error d of a score changes its p by the factor
  // e^d, the normalisation at most doubles that; then a rounding a position for the sums and, for
  // each of the blocks of 16, a factor e^x good to 2e-7 on what was summed before.
  // Where activations are BF16, a kernel may round p to that before it multiplies; their sum then
  // may be that of the rounded or of the exact ones.
  void row_tolerance(std::size_t span, std::int64_t i, int h, std::vector<double>& allowed) const {
    const int dim = s_.head_dim;
    const int kv_head = h / (s_.heads / s_.kv_heads);
    const std::int64_t position = s_.spans[span].position + i;
    const std::int64_t row = batch_.spans()[span].first_row + i;
    const float* q = q_.data() + row * stride() + h * dim;
    std::vector<double> scores;
    double largest = -1e30;
    double score_error = 0;
    const std::int64_t first = first_visible(s_, s_.spans[span], i);
    for (std::int64_t p = first; p <= position; ++p) {
      const std::vector<float> k = key_.row(row_of(span, p, kv_head));
      double score = 0;
      double size = 0;
      for (int d = 0; d < dim; ++d) {
        const double term = double{q[d]} * k[static_cast<std::size_t>(d)] / std::sqrt(dim);
        score += term;
        size += std::abs(term);
      }
      scores.push_back(score);
      largest = std::max(largest, score);
      score_error = std::max(score_error, size * (dim + 8) * kRounding);
    }
    double total = 0;
    for (double& score : scores) total += score = std::exp(score - largest);
    std::vector<double> size(static_cast<std::size_t>(dim), 0.0);
    for (std::int64_t p = first; p <= position; ++p) {
      const std::vector<float> v = value_.row(row_of(span, p, kv_head));
      for (int d = 0; d < dim; ++d)
        size[static_cast<std::size_t>(d)] += scores[static_cast<std::size_t>(p - first)] / total *
                                             std::abs(v[static_cast<std::size_t>(d)]);
    }
    const double positions = static_cast<double>(scores.size());
    const double relative = 2 * score_error + (positions + positions / 16 * 8 + 32) * kRounding +
                            (is_narrow() ? 2 * kNarrowRounding : 0);
    for (int d = 0; d < dim; ++d)
      allowed[static_cast<std::size_t>(row * stride() + h * dim + d)] =
          size[static_cast<std::size_t>(d)] * relative;
  }

  Sizes s_;
  CaseRandom random_{17};
  CaseBatch batch_;
  std::int64_t elements_;
  std::int64_t copies_;
  std::vector<float> q_, out_;
  std::vector<std::int32_t> workspace_ =
      std::vector<std::int32_t>(attention_workspace_bytes() / sizeof(std::int32_t));
  CaseWeight key_, value_;
};

}  // namespace

std::vector<OpCase> attention_cases() {
  std::vector<Sizes> sizes;
  for (const DType kv : {DType::F32, DType::BF16, DType::F8_E4M3}) {
    sizes.push_back({"first token", 4, 2, 64, kv, {{1, 0}}});
    sizes.push_back({"prompt", 8, 2, 64, kv, {{53, 0}}});
    sizes.push_back({"chunk", 4, 2, 32, kv, {{40, 21}}});
    sizes.push_back({"decode", 8, 2, 64, kv, {{1, 15}, {1, 16}, {1, 200}}});
    sizes.push_back({"mixed", 6, 2, 16, kv, {{1, 9}, {5, 30}, {3, 0}, {1, 40}, {17, 14}}});
    sizes.push_back({"group of 1", 3, 3, 48, kv, {{20, 3}}});
    sizes.push_back({"group of 16", 16, 1, 128, kv, {{3, 20}, {1, 7}}});
    sizes.push_back({"head_dim 8", 2, 1, 8, kv, {{19, 0}}});
    sizes.push_back({"head_dim 72", 4, 2, 72, kv, {{5, 12}}});
    sizes.push_back({"head_dim 256", 2, 1, 256, kv, {{9, 12}}});
    sizes.push_back({"head_dim 128", 8, 2, 128, kv, {{37, 20}, {1, 90}, {1, 15}}});
    sizes.push_back({"window 5", 4, 2, 64, kv, {{30, 0}, {1, 50}, {20, 33}}, 5});
    sizes.push_back({"window 16", 4, 2, 64, kv, {{35, 40}}, 16});
    sizes.push_back({"large scores", 4, 2, 64, kv, {{30, 10}}, 0, 60.0f});
    // Tiles of 128 positions, items of 48 rows and groups that leave some of them idle.
    sizes.push_back({"several tiles", 4, 1, 64, kv, {{60, 100}, {3, 260}}});
    sizes.push_back({"window over tiles", 2, 1, 64, kv, {{40, 240}}, 100});
    sizes.push_back({"group of 3", 3, 1, 64, kv, {{25, 115}}});
    sizes.push_back({"group of 8", 8, 1, 64, kv, {{10, 124}}});
    sizes.push_back({"40 prompts", 2, 1, 64, kv, std::vector<CaseSpan>(40, {2, 3})});
    const auto full = [&](const char* what, std::vector<CaseSpan> spans) {
      sizes.push_back({what, 32, 8, 64, kv, std::move(spans), 0, 1.5f, true});
    };
    full("decode at 1024", {{1, 1023}});
    full("decode at 8192", {{1, 8191}});
    full("8 decodes at 1024", std::vector<CaseSpan>(8, {1, 1023}));
    full("64 decodes at 1024", std::vector<CaseSpan>(64, {1, 1023}));
    full("prompt of 512", {{512, 0}});
    full("512 after 7680", {{512, 7680}});
    full("prompt of 8192", {{8192, 0}});
    full("8 prompts of 1024", std::vector<CaseSpan>(8, {1024, 0}));
  }
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes) {
    double rows = 0, positions = 0, pairs = 0;
    for (const CaseSpan& span : s.spans) {
      rows += span.count;
      positions += static_cast<double>(span.position + span.count - first_visible(s, span, 0));
      for (std::int64_t i = 0; i < span.count; ++i)
        pairs += static_cast<double>(span.position + i + 1 - first_visible(s, span, i));
    }
    cases.push_back(
        {fmt::format("{}, {}/{} heads of {}, {} cache", s.what, s.heads, s.kv_heads, s.head_dim,
                     to_string(s.kv)),
         fmt::format("{} cache", to_string(s.kv)), s.full_size,
         positions * static_cast<double>(2 * bytes_of(s.kv, s.kv_heads * s.head_dim)),
         rows * s.heads * s.head_dim * 2, pairs * s.heads * s.head_dim * 4,
         [s](DType activation) { return std::make_unique<AttentionInstance>(s, activation); }});
  }
  return cases;
}

}  // namespace millrace
