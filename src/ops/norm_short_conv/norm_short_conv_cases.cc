#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/norm_short_conv/norm_short_conv.h"
#include "ops/stream/normed_product.h"

namespace millrace {
namespace {

struct Sizes {
  std::string what;
  std::int64_t channels, k;
  int taps;
  std::int64_t ring;
  std::vector<CaseSpan> spans;  // of one token each
  bool bias = false;
  bool full_size = false;
};

class NormShortConvInstance final : public CaseInstance<NormShortConv> {
 public:
  NormShortConvInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        copies_(s.full_size ? copies_beyond_cache(bytes_of(DType::BF16, 3 * s.channels * s.k)) : 1),
        batch_(random_, s.spans),
        in_proj_(random_, DType::BF16, 3 * s.channels, s.k, 0.1f, copies_),
        in_(random_floats(random_, batch_.rows() * in_stride(), 2.0f)),
        norm_weight_(random_floats(random_, s.k, 1.5f)),
        in_bias_(random_floats(random_, 3 * s.channels, 1.0f)),
        kernel_(random_floats(random_, s.taps * s.channels, 1.0f)),
        bias_(random_floats(random_, s.channels, 1.0f)),
        initial_(random_floats(random_, batch_.slots() * s.ring * s.channels, 2.0f)),
        out_(static_cast<std::size_t>(batch_.rows() * out_stride())) {
    for (std::size_t i = 0; i < s.spans.size(); ++i)
      for (std::int64_t column = 0; column < s.ring; ++column)
        if (!is_visible(batch_.spans()[i], column))
          poison(initial_.data() + column_at(batch_.spans()[i], column), s.channels);
    state_ = initial_;
  }

 protected:
  NormShortConv::Key key() const override {
    return {DType::BF16, activation(), s_.channels, s_.k, s_.taps};
  }
  NormShortConvParams params(std::int64_t run) override {
    return {.in = {in_.data(), s_.k, in_stride(), DType::F32},
            .norm_weight = norm_weight_.data(),
            .epsilon = 1e-5f,
            .in_proj = in_proj_.view(run % copies_),
            .in_bias = s_.bias ? in_bias_.data() : nullptr,
            .kernel = kernel_.data(),
            .bias = s_.bias ? bias_.data() : nullptr,
            .taps = s_.taps,
            .state = {state_.data(), s_.ring, s_.channels},
            .out = {out_.data(), s_.channels, out_stride(), DType::F32},
            .batch = batch_.view()};
  }
  std::vector<CaseMemory> memory() override {
    std::vector<CaseMemory> memory = {read_memory(in_),       read_memory(norm_weight_),
                                      in_proj_.memory(),      read_memory(in_bias_),
                                      read_memory(kernel_),   read_memory(bias_),
                                      written_memory(state_), as_activation(written_memory(out_))};
    batch_.add_memory(memory);
    return memory;
  }
  void relocate(NormShortConvParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.norm_weight, p.in_proj, p.in_bias, p.kernel, p.bias, p.state, p.out,
               p.batch);
  }
  void reset() override {
    poison(out_.data(), static_cast<std::int64_t>(out_.size()));
    state_ = initial_;
  }
  std::vector<CaseOutput> outputs() const override {
    std::int64_t left = 0;  // of the poison: the new column overwrites its own
    for (const SpanView& span : batch_.spans())
      for (std::int64_t column = 0; column < s_.ring; ++column)
        if (column != span.position % s_.ring && !is_visible(span, column)) left += s_.channels;
    return {{"out", out_.data(), DType::F32, static_cast<std::int64_t>(out_.size()),
             batch_.rows() * (out_stride() - s_.channels)},
            {"state", state_.data(), DType::F32, static_cast<std::int64_t>(state_.size()), left}};
  }

  // A gate is rounded to BF16: its error is none, or a step where its sum's error reaches over the
  // point between two steps.
  std::vector<double> tolerance(std::size_t output) const override {
    std::vector<double> out(out_.size(), 0.0);
    std::vector<double> state(state_.size(), 0.0);
    for (std::int64_t t = 0; t < batch_.rows(); ++t) {
      const NormedRow row =
          normed_row(in_.data() + t * in_stride(), norm_weight_.data(), s_.k, 1e-5);
      const SpanView& span = batch_.spans()[static_cast<std::size_t>(t)];
      for (std::int64_t c = 0; c < s_.channels; ++c) {
        const Gate b = gate(row, c);
        const Gate gate_c = gate(row, s_.channels + c);
        const Gate z = gate(row, 2 * s_.channels + c);
        const double now_error = (b.size + b.error) * (z.size + z.error) - b.size * z.size;
        double size = s_.bias ? std::abs(bias_[static_cast<std::size_t>(c)]) : 0;
        for (std::int64_t tap = 0; tap < s_.taps - 1; ++tap) {
          const std::int64_t position = span.position - (s_.taps - 1 - tap);
          if (position < span.conv_from || position < 0) continue;
          const std::int64_t at = column_at(span, position % s_.ring) + c;
          size += tap_size(tap, c) * std::abs(initial_[static_cast<std::size_t>(at)]);
        }
        size += tap_size(s_.taps - 1, c) * b.size * z.size;
        const double error =
            size * (s_.taps + 3) * kRounding + tap_size(s_.taps - 1, c) * now_error;
        out[static_cast<std::size_t>(t * out_stride() + c)] =
            (gate_c.size + gate_c.error) * (size + error) - gate_c.size * size +
            gate_c.size * size * kRounding;
        const std::int64_t written = column_at(span, span.position % s_.ring) + c;
        // One product of floats, rounded alike by everybody.
        if (now_error > 0)
          state[static_cast<std::size_t>(written)] = now_error + b.size * z.size * kRounding;
      }
    }
    return output == 0 ? out : state;
  }

 private:
  struct Gate {
    double size, error;
  };

  std::int64_t in_stride() const { return case_stride(s_.k); }
  std::int64_t out_stride() const { return case_stride(s_.channels); }
  std::int64_t column_at(const SpanView& span, std::int64_t column) const {
    return (span.slot * s_.ring + column) * s_.channels;
  }
  bool is_visible(const SpanView& span, std::int64_t column) const {
    for (std::int64_t back = 1; back < s_.taps; ++back) {
      const std::int64_t position = span.position - back;
      if (position >= span.conv_from && position >= 0 && position % s_.ring == column) return true;
    }
    return false;
  }
  double tap_size(std::int64_t tap, std::int64_t channel) const {
    return std::abs(kernel_[static_cast<std::size_t>(tap * s_.channels + channel)]);
  }
  Gate gate(const NormedRow& row, std::int64_t n) const {
    const NormedSum sum = multiply(row, in_proj_.view().as<BF16>() + n * s_.k);
    const double bias = s_.bias ? in_bias_[static_cast<std::size_t>(n)] : 0;
    const double value = sum.value + bias;
    const double error = (sum.size + std::abs(bias)) * normed_rounding(s_.k);
    const double low = to_float(to_bf16(static_cast<float>(value - error)));
    const double high = to_float(to_bf16(static_cast<float>(value + error)));
    return {std::max(std::abs(low), std::abs(high)), high - low};
  }

  Sizes s_;
  CaseRandom random_{22};
  std::int64_t copies_;
  CaseBatch batch_;
  CaseWeight in_proj_;
  std::vector<float> in_, norm_weight_, in_bias_, kernel_, bias_, initial_, state_, out_;
};

}  // namespace

std::vector<OpCase> norm_short_conv_cases() {
  std::vector<Sizes> sizes = {
      {"first token", 8, 32, 3, 2, {{1, 0}}},
      {"decode", 64, 256, 3, 2, {{1, 5}, {1, 1}, {1, 300}}},
      {"drafts", 136, 96, 3, 5, {{1, 9}, {1, 10}, {1, 0}, {1, 2}, {1, 7}}, true},
      {"replayed from 6", 48, 64, 3, 4, {{1, 6, 6, 0}, {1, 7, 6}}},
      {"decode", 24, 1056, 2, 1, {{1, 4}, {1, 9}}},
      {"decode", 16, 64, 7, 9, {{1, 2}, {1, 40}, {1, 5}}, true},
      {"one tap", 16, 32, 1, 1, {{1, 0}, {1, 3}}},
      {"seven", 40, 2048, 3, 2, std::vector<CaseSpan>(7, {1, 31})},
      {"eight", 1104, 64, 4, 3, std::vector<CaseSpan>(8, {1, 8}), true},
  };
  for (const std::size_t rows : {1, 4, 8})
    sizes.push_back(
        {"decode", 2048, 2048, 3, 2, std::vector<CaseSpan>(rows, {1, 700}), false, true});
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes) {
    const auto rows = static_cast<double>(s.spans.size());
    const auto channels = static_cast<double>(s.channels);
    const auto k = static_cast<double>(s.k);
    cases.push_back(
        {fmt::format("{} of {}, {} channels from {}, {} taps, ring {}{}", s.what, s.spans.size(),
                     s.channels, s.k, s.taps, s.ring, s.bias ? ", bias" : ""),
         "BF16 weight", s.full_size,
         6 * channels * k + rows * k * 4 + channels * s.taps * 4 * (rows + 1), rows * channels,
         rows * channels * (6 * k + 2 * (s.taps + 1)),
         [s](DType activation) { return std::make_unique<NormShortConvInstance>(s, activation); }});
  }
  return cases;
}

}  // namespace millrace
