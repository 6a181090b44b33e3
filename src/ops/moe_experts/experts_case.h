// What the cases of experts share, however their matrices lie.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ops/case_instance.h"
#include "ops/moe_experts/moe_experts.h"

namespace millrace {

struct ExpertsSizes {
  std::string what;
  DType gate_up, down;
  int experts, top_k;
  std::int64_t hidden, width, rows;
  bool full_size = false;
};

// A case of an op whose Params are ExpertsParams<Expert>.
template <typename Op, typename Expert>
class ExpertsCase : public CaseInstance<Op> {
 public:
  ExpertsCase(const ExpertsSizes& s, DType activation)
      : CaseInstance<Op>(activation),
        s_(s),
        w1_(random_, s.gate_up, s.experts * s.width, s.hidden, 1.0f),
        w3_(random_, s.gate_up, s.experts * s.width, s.hidden, 1.0f),
        w2_(random_, s.down, s.experts * s.hidden, s.width, 1.0f),
        in_(this->random_activations(random_, s.rows * stride(), 0.3f)),
        initial_(random_floats(random_, s.rows * stride(), 1.0f)),
        out_(initial_),
        workspace_bytes_(
            moe_experts_workspace_bytes(s.rows, s.top_k, s.experts, s.hidden, s.width)),
        workspace_(workspace_bytes_ + kGuard * sizeof(float)) {
    for (std::int64_t t = 0; t < s.rows * (s.full_size ? s.experts : 1); ++t) choose(t);
    for (std::int64_t t = 0; t < s.rows; ++t)
      poison(initial_.data() + t * stride() + s.hidden, stride() - s.hidden);
  }

 protected:
  // Error of a product of rows of k, from one row of weights and the sizes of its inputs.
  virtual double product_error(DType dtype, const std::vector<float>& weights,
                               const std::vector<double>& in) const = 0;

  typename Op::Key key() const override {
    return {s_.gate_up, s_.down, this->activation(), s_.hidden, s_.width};
  }
  ExpertsParams<Expert> params(std::int64_t run) override {
    // A decode's experts change from run to run, as tokens do.
    const std::int64_t first =
        s_.full_size ? run % s_.experts * s_.rows * s_.top_k : std::int64_t{0};
    return {.in = {in_.data(), s_.hidden, stride(), DType::F32},
            .experts = experts_.data(),
            .expert_count = s_.experts,
            .chosen = chosen_.data() + first,
            .weights = weights_.data() + first,
            .top_k = s_.top_k,
            .out = {out_.data(), s_.hidden, stride(), DType::F32},
            .rows = s_.rows,
            .width = s_.width,
            .workspace = workspace_.as<void>()};
  }
  void reset() override {
    out_ = initial_;
    poison(workspace_.as<float>(), static_cast<std::int64_t>(workspace_bytes_ / 4));
    poison(guard(), kGuard);
  }
  std::vector<CaseOutput> outputs() const override {
    return {{"out", out_.data(), DType::F32, static_cast<std::int64_t>(out_.size()),
             s_.rows * (stride() - s_.hidden)},
            {"beyond the workspace", guard(), DType::F32, kGuard, kGuard}};
  }
  std::vector<double> tolerance(std::size_t output) const override {
    if (output == 1) return {};
    std::vector<double> allowed(out_.size(), 0.0);
    for (std::int64_t t = 0; t < s_.rows; ++t) {
      for (std::int64_t c = 0; c < s_.hidden; ++c)
        allowed[static_cast<std::size_t>(t * stride() + c)] =
            (s_.top_k + 2) * kRounding *
            std::abs(double{initial_[static_cast<std::size_t>(t * stride() + c)]});
      for (int j = 0; j < s_.top_k; ++j) pair_tolerance(t, t * s_.top_k + j, allowed);
    }
    return allowed;
  }

  std::int64_t stride() const { return case_stride(s_.hidden); }
  // Expert e of matrices that lie one after another.
  TensorView slice(const CaseWeight& stack, int e) const {
    const TensorView all = stack.view();
    const std::int64_t n = all.shape[0] / s_.experts;
    return {
        all.as<char>() + e * n * bytes_of(all.dtype, all.shape[1]), all.dtype, {n, all.shape[1]}};
  }

  ExpertsSizes s_;
  CaseRandom random_{19};
  CaseWeight w1_, w3_, w2_;
  std::vector<Expert> experts_;  // filled by the op's own case
  std::vector<float> in_, initial_, out_;
  std::vector<std::int32_t> chosen_;
  std::vector<float> weights_;
  std::size_t workspace_bytes_;
  Buffer workspace_;

 private:
  static constexpr std::int64_t kGuard = 16;

  float* guard() {
    return reinterpret_cast<float*>(workspace_.as<char>() + workspace_bytes_ / 4 * 4);
  }
  const float* guard() const {
    return reinterpret_cast<const float*>(workspace_.as<char>() + workspace_bytes_ / 4 * 4);
  }

  // Different experts in ascending order, some rows alike, some experts unused.
  void choose(std::int64_t t) {
    std::vector<std::int32_t> chosen;
    while (static_cast<int>(chosen.size()) < s_.top_k) {
      const auto e = static_cast<std::int32_t>(
          random_.below(t % 3 == 0 ? s_.experts : std::max(s_.top_k, s_.experts / 2)));
      if (std::find(chosen.begin(), chosen.end(), e) == chosen.end()) chosen.push_back(e);
    }
    if (s_.full_size)  // the experts of the next token are others
      for (std::size_t j = 0; j < chosen.size(); ++j)
        chosen[j] =
            static_cast<std::int32_t>((t * s_.top_k + static_cast<std::int64_t>(j)) % s_.experts);
    std::sort(chosen.begin(), chosen.end());
    chosen_.insert(chosen_.end(), chosen.begin(), chosen.end());
    for (int j = 0; j < s_.top_k; ++j) weights_.push_back(random_.uniform(0.05f, 0.6f));
  }

  // |silu'| <= 1.1 carries the error of the gate through. Where activations are BF16, a kernel may
  // round the hidden values to that.
  void pair_tolerance(std::int64_t t, std::int64_t pair, std::vector<double>& allowed) const {
    const std::int64_t e = chosen_[static_cast<std::size_t>(pair)];
    const double weight = weights_[static_cast<std::size_t>(pair)];
    const float* in = in_.data() + t * stride();
    std::vector<double> in_sizes;
    for (std::int64_t i = 0; i < s_.hidden; ++i) in_sizes.push_back(std::abs(double{in[i]}));
    std::vector<double> size, error;  // of the hidden values
    for (std::int64_t n = 0; n < s_.width; ++n) {
      const std::vector<float> gate_row = w1_.row(e * s_.width + n);
      const std::vector<float> up_row = w3_.row(e * s_.width + n);
      double gate = 0, up = 0;
      for (std::int64_t i = 0; i < s_.hidden; ++i) {
        gate += double{in[i]} * gate_row[static_cast<std::size_t>(i)];
        up += double{in[i]} * up_row[static_cast<std::size_t>(i)];
      }
      const double silu = gate / (1 + std::exp(-gate));
      const double of_gate = 1.1 * product_error(s_.gate_up, gate_row, in_sizes);
      const double of_up = product_error(s_.gate_up, up_row, in_sizes);
      const double rounded = 5e-7 + (this->is_narrow() ? kNarrowRounding : 0);
      error.push_back(of_gate * (std::abs(up) + of_up) + std::abs(silu) * of_up +
                      rounded * std::abs(silu * up));
      size.push_back(std::abs(silu * up) + error.back());
    }
    for (std::int64_t c = 0; c < s_.hidden; ++c) {
      const std::vector<float> row = w2_.row(e * s_.hidden + c);
      double sum = product_error(s_.down, row, size);
      for (std::size_t n = 0; n < row.size(); ++n)
        sum += std::abs(double{row[n]}) * (error[n] + kRounding * (s_.top_k + 2) * size[n]);
      allowed[static_cast<std::size_t>(t * stride() + c)] += weight * sum;
    }
  }
};

template <typename Instance>
std::vector<OpCase> experts_cases(const std::vector<ExpertsSizes>& sizes) {
  std::vector<OpCase> cases;
  for (const ExpertsSizes& s : sizes) {
    const std::int64_t used = std::min<std::int64_t>(s.experts, s.rows * s.top_k);
    const std::int64_t expert_bytes =
        2 * bytes_of(s.gate_up, s.width * s.hidden) + bytes_of(s.down, s.width * s.hidden);
    cases.push_back({fmt::format("{}, {}/{}, {} of {} experts [{}, {}], {} row{}", s.what,
                                 to_string(s.gate_up), to_string(s.down), s.top_k, s.experts,
                                 s.width, s.hidden, s.rows, s.rows == 1 ? "" : "s"),
                     fmt::format("{}/{} weights", to_string(s.gate_up), to_string(s.down)),
                     s.full_size, static_cast<double>(used * expert_bytes + s.rows * s.hidden * 8),
                     static_cast<double>(s.rows * s.hidden),
                     6.0 * static_cast<double>(s.rows * s.top_k * s.width * s.hidden),
                     [s](DType activation) { return std::make_unique<Instance>(s, activation); }});
  }
  return cases;
}

}  // namespace millrace
