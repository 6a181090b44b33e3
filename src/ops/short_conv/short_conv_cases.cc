#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/short_conv/short_conv.h"

namespace millrace {
namespace {

struct Sizes {
  std::string what;
  std::int64_t channels;
  int taps;
  std::int64_t ring;
  std::vector<CaseSpan> spans;
  bool bias = false;
  bool full_size = false;
};

class ShortConvInstance final : public CaseInstance<ShortConv> {
 public:
  ShortConvInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        batch_(random_, s.spans),
        gates_(random_activations(random_, batch_.rows() * 3 * s.channels, 1.5f)),
        kernel_(random_floats(random_, s.taps * s.channels, 1.0f)),
        bias_(random_floats(random_, s.channels, 1.0f)),
        initial_(random_floats(random_, batch_.slots() * s.ring * s.channels, 2.0f)),
        out_(static_cast<std::size_t>(batch_.rows() * stride())) {
    // Columns that no span may look at.
    for (std::size_t i = 0; i < s.spans.size(); ++i) {
      const SpanView& span = batch_.spans()[i];
      float* slot = initial_.data() + span.slot * s.ring * s.channels;
      for (std::int64_t column = 0; column < s.ring; ++column) {
        bool visible = false;
        for (std::int64_t back = 1; back < s.taps; ++back) {
          const std::int64_t position = span.position - back;
          visible |= position >= span.conv_from && position >= 0 && position % s.ring == column;
        }
        if (!visible) poison(slot + column * s.channels, s.channels);
      }
    }
    state_ = initial_;
  }

 protected:
  ShortConv::Key key() const override { return {activation(), s_.channels, s_.taps}; }
  ShortConvParams params(std::int64_t) override {
    return {.gates = {gates_.data(), 3 * s_.channels, 3 * s_.channels, DType::F32},
            .kernel = kernel_.data(),
            .bias = s_.bias ? bias_.data() : nullptr,
            .taps = s_.taps,
            .state = {state_.data(), s_.ring, s_.channels},
            .out = {out_.data(), s_.channels, stride(), DType::F32},
            .batch = batch_.view()};
  }
  std::vector<CaseMemory> memory() override {
    std::vector<CaseMemory> memory = {as_activation(read_memory(gates_)), read_memory(kernel_),
                                      read_memory(bias_), written_memory(state_),
                                      as_activation(written_memory(out_))};
    batch_.add_memory(memory);
    return memory;
  }
  void relocate(ShortConvParams& p, const CaseImageCopy& image) override {
    image.move(p.gates, p.kernel, p.bias, p.state, p.out, p.batch);
  }
  void reset() override {
    poison(out_.data(), static_cast<std::int64_t>(out_.size()));
    state_ = initial_;
  }
  std::vector<CaseOutput> outputs() const override {
    // The poison that is left: what was there, less the columns that the spans write.
    std::int64_t left = 0;
    for (std::size_t s = 0; s < s_.spans.size(); ++s) {
      const SpanView& span = batch_.spans()[s];
      for (std::int64_t column = 0; column < s_.ring; ++column) {
        bool written = false;
        for (std::int64_t i = 0; i < span.count; ++i)
          written |= (span.position + i) % s_.ring == column;
        const float before =
            initial_[static_cast<std::size_t>((span.slot * s_.ring + column) * s_.channels)];
        if (!written && std::isnan(before)) left += s_.channels;
      }
    }
    return {{"out", out_.data(), DType::F32, static_cast<std::int64_t>(out_.size()),
             batch_.rows() * (stride() - s_.channels)},
            {"state", state_.data(), DType::F32, static_cast<std::int64_t>(state_.size()), left}};
  }
  std::vector<double> tolerance(std::size_t output) const override {
    if (output == 1) return {};  // a column is one product, rounded once by everybody
    // taps products of |kernel| <= 1 and |v| <= max(2, 1.5^2), the bias, times |C| <= 1.5.
    const double size = (s_.taps * 2.25 + 1) * 1.5;
    return std::vector<double>(out_.size(), size * (s_.taps + 3) * kRounding);
  }

 private:
  std::int64_t stride() const { return case_stride(s_.channels); }

  Sizes s_;
  CaseRandom random_{15};
  CaseBatch batch_;
  std::vector<float> gates_, kernel_, bias_, initial_, state_, out_;
};

}  // namespace

std::vector<OpCase> short_conv_cases() {
  std::vector<Sizes> sizes = {
      {"prompt", 64, 3, 2, {{7, 0}}},
      {"prompt of one", 24, 3, 2, {{1, 0}}},
      {"decode", 37, 3, 2, {{1, 5}, {1, 1}, {1, 300}}},
      {"mixed", 133, 3, 5, {{1, 9}, {4, 11}, {40, 0}, {2, 1}}, true},
      {"replayed from 6", 48, 3, 4, {{6, 6, 6, 0}, {1, 7, 6}}},
      {"mixed", 20, 2, 1, {{3, 0}, {1, 4}, {2, 9}}},
      {"mixed", 50, 4, 3, {{3, 1}, {1, 4}}, true},
      {"mixed", 50, 7, 9, {{3, 2}, {1, 40}, {15, 5}}},
      {"mixed", 33, 5, 4, {{2, 0}, {9, 17}, {1, 3}}, true},
      {"one tap", 16, 1, 1, {{2, 0}, {1, 3}}},
      {"many rows", 1030, 3, 4, {{60, 3}, {1, 8}}},
      {"decode", 2048, 3, 2, {{1, 1000}}, false, true},
      {"prompt of 512", 2048, 3, 2, {{512, 0}}, false, true},
      {"prompt of 8192", 2048, 3, 2, {{8192, 0}}, false, true},
  };
  sizes.push_back({"decode of 64", 2048, 3, 2, std::vector<CaseSpan>(64, {1, 700}), false, true});
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes) {
    double rows = 0;
    double columns = s.taps;  // of floats: the kernel, and what is read and written of the rings
    for (const CaseSpan& span : s.spans) {
      rows += span.count;
      columns += static_cast<double>(s.taps - 1 + std::min<std::int64_t>(span.count, s.ring));
    }
    cases.push_back(
        {fmt::format("{}, {} channels, {} taps, ring {}{}", s.what, s.channels, s.taps, s.ring,
                     s.bias ? ", bias" : ""),
         "F32", s.full_size, columns * static_cast<double>(s.channels) * 4,
         rows * static_cast<double>(s.channels) * 4,
         rows * static_cast<double>(s.channels) * 2 * (s.taps + 1),
         [s](DType activation) { return std::make_unique<ShortConvInstance>(s, activation); }});
  }
  return cases;
}

}  // namespace millrace
