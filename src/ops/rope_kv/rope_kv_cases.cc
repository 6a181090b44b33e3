#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/rope_kv/rope_kv.h"

namespace millrace {
namespace {

struct Sizes {
  std::string what;
  int heads, kv_heads, head_dim;
  DType kv;
  std::vector<CaseSpan> spans;
  bool full_size = false;
};

class RopeKvInstance final : public CaseInstance<RopeKv> {
 public:
  RopeKvInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        batch_(random_, s.spans),
        q_(random_activations(random_, batch_.rows() * q_stride(), 1.5f)),
        k_(random_activations(random_, batch_.rows() * k_columns(), 1.5f)),
        v_(random_activations(random_, batch_.rows() * k_columns(), 1.5f)),
        q_norm_(random_floats(random_, s.head_dim, 1.5f)),
        k_norm_(random_floats(random_, s.head_dim, 1.5f)),
        cache_elements_(batch_.blocks() * 16 * k_columns()),
        key_(static_cast<std::size_t>(bytes_of(s.kv, cache_elements_))),
        value_(static_cast<std::size_t>(bytes_of(s.kv, cache_elements_))) {
    const int half = s.head_dim / 2;
    std::int64_t positions = 0;
    for (const CaseSpan& span : s.spans)
      positions = std::max<std::int64_t>(positions, span.position + span.count);
    for (std::int64_t position = 0; position < positions; ++position) {
      for (int i = 0; i < half; ++i) {
        const double angle = static_cast<double>(position) * std::pow(1e6, -2.0 * i / s.head_dim);
        cosines_.push_back(static_cast<float>(std::cos(angle)));
        sines_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
    for (std::int64_t t = 0; t < batch_.rows(); ++t)
      poison(q_.data() + t * q_stride() + s.heads * s.head_dim, q_stride() - s.heads * s.head_dim);
    initial_q_ = q_;
    initial_k_ = k_;
  }

 protected:
  RopeKv::Key key() const override { return {activation(), s_.kv, s_.head_dim}; }
  RopeKvParams params(std::int64_t) override {
    return {.q = {q_.data(), s_.heads * s_.head_dim, q_stride(), DType::F32},
            .k = {k_.data(), k_columns(), k_columns(), DType::F32},
            .v = {v_.data(), k_columns(), k_columns(), DType::F32},
            .q_norm = q_norm_.data(),
            .k_norm = k_norm_.data(),
            .epsilon = 1e-5f,
            .cosines = cosines_.data(),
            .sines = sines_.data(),
            .cache = {key_.as<void>(), value_.as<void>(), s_.kv_heads, s_.head_dim, 16, s_.kv},
            .batch = batch_.view(),
            .heads = s_.heads};
  }
  std::vector<CaseMemory> memory() override {
    // The reference rotates k in place, a kernel need not: it is not an output.
    const auto cache = [this](Buffer& buffer) {
      return CaseMemory{buffer.as<void>(), bytes_of(s_.kv, cache_elements_),
                        CaseMemory::Use::Written};
    };
    std::vector<CaseMemory> memory = {as_activation(written_memory(q_)),
                                      as_activation(written_memory(k_)),
                                      as_activation(read_memory(v_)),
                                      read_memory(q_norm_),
                                      read_memory(k_norm_),
                                      read_memory(cosines_),
                                      read_memory(sines_),
                                      cache(key_),
                                      cache(value_)};
    batch_.add_memory(memory);
    return memory;
  }
  void relocate(RopeKvParams& p, const CaseImageCopy& image) override {
    image.move(p.q, p.k, p.v, p.q_norm, p.k_norm, p.cosines, p.sines, p.cache, p.batch);
  }
  void reset() override {
    q_ = initial_q_;
    k_ = initial_k_;
    poison(key_.as<void>(), s_.kv, cache_elements_);
    poison(value_.as<void>(), s_.kv, cache_elements_);
  }
  std::vector<CaseOutput> outputs() const override {
    std::int64_t written = 0;
    for (const CaseSpan& span : s_.spans)
      if (span.writes_kv) written += span.count * k_columns();
    const std::int64_t left = cache_elements_ - written;
    return {{"q", q_.data(), DType::F32, static_cast<std::int64_t>(q_.size()),
             batch_.rows() * (q_stride() - s_.heads * s_.head_dim)},
            {"key", key_.as<void>(), s_.kv, cache_elements_, left},
            {"value", value_.as<void>(), s_.kv, cache_elements_, left}};
  }
  std::vector<double> tolerance(std::size_t output) const override {
    if (output == 2) return {};  // values are only stored
    // The norm's factor as in rms_norm; the rotation adds two products of the pair, whose length
    // it keeps.
    const double relative = std::sqrt(2.0) * kRounding * (s_.head_dim / 8.0 + 24);
    const bool narrow = output == 1 && s_.kv != DType::F32;
    // Two neighbours of BF16 are up to 2^-7 of their size apart, of FP8 2^-3, but at least 2^-9.
    const double spacing = s_.kv == DType::BF16 ? 0x1p-7 : 0x1p-3;
    const double least = s_.kv == DType::BF16 ? 0 : 0x1p-9;
    const std::int64_t row = output == 0 ? q_stride() : s_.head_dim;
    const std::int64_t count = output == 0 ? static_cast<std::int64_t>(q_.size()) : cache_elements_;
    const auto value = [&](std::int64_t i) -> double {
      if (narrow && s_.kv == DType::BF16) return to_float(key_.as<BF16>()[i]);
      if (narrow) return fp8_to_float(key_.as<F8E4M3>()[i].bits, Fp8::Ocp);
      return (output == 0 ? q_.data() : key_.as<float>())[i];
    };
    std::vector<double> allowed(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t in_head = i % row % s_.head_dim;
      const std::int64_t pair = in_head < s_.head_dim / 2 ? s_.head_dim / 2 : -s_.head_dim / 2;
      if (i % row >= s_.heads * s_.head_dim) continue;  // between rows
      allowed[static_cast<std::size_t>(i)] = relative * std::hypot(value(i), value(i + pair)) +
                                             (narrow ? spacing * std::abs(value(i)) + least : 0);
    }
    return allowed;
  }

 private:
  std::int64_t q_stride() const { return case_stride(s_.heads * s_.head_dim); }
  std::int64_t k_columns() const { return s_.kv_heads * s_.head_dim; }

  Sizes s_;
  CaseRandom random_{16};
  CaseBatch batch_;
  std::vector<float> q_, k_, v_, q_norm_, k_norm_, initial_q_, initial_k_, cosines_, sines_;
  std::int64_t cache_elements_;
  Buffer key_, value_;
};

}  // namespace

std::vector<OpCase> rope_kv_cases() {
  std::vector<Sizes> sizes;
  for (const DType kv : {DType::F32, DType::BF16, DType::F8_E4M3}) {
    sizes.push_back({"prompt", 4, 2, 64, kv, {{37, 0}}});
    sizes.push_back({"mixed", 4, 4, 16, kv, {{1, 15}, {3, 14}, {1, 0}, {18, 31}}});
    sizes.push_back({"replay", 6, 2, 40, kv, {{5, 20, 20, 0}, {1, 3}}});
    sizes.push_back({"decode", 8, 2, 128, kv, {{1, 3}, {1, 100}}});
    sizes.push_back({"odd halves", 2, 1, 6, kv, {{3, 2}}});
    sizes.push_back({"decode", 32, 8, 64, kv, {{1, 1000}}, true});
    sizes.push_back({"prompt of 512", 32, 8, 64, kv, {{512, 0}}, true});
    if (kv == DType::BF16) sizes.push_back({"prompt of 8192", 32, 8, 64, kv, {{8192, 0}}, true});
  }
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes) {
    std::int64_t rows = 0;
    for (const CaseSpan& span : s.spans) rows += span.count;
    const std::int64_t k_columns = s.kv_heads * s.head_dim;
    cases.push_back(
        {fmt::format("{}, {}/{} heads of {}, {} cache", s.what, s.heads, s.kv_heads, s.head_dim,
                     to_string(s.kv)),
         fmt::format("{} cache", to_string(s.kv)), s.full_size,
         static_cast<double>(rows * (s.head_dim * 4 + 2 * bytes_of(s.kv, k_columns))),
         static_cast<double>(rows * (s.heads * s.head_dim + k_columns) * 2), 0,
         [s](DType activation) { return std::make_unique<RopeKvInstance>(s, activation); }});
  }
  return cases;
}

}  // namespace millrace
