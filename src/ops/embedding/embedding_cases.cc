#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/embedding/embedding.h"

namespace millrace {
namespace {

struct Sizes {
  DType dtype;
  std::int64_t vocab, hidden, rows;
  bool full_size = false;
};

class EmbeddingInstance final : public CaseInstance<Embedding> {
 public:
  EmbeddingInstance(const Sizes& s, DType activation)
      : CaseInstance(activation), s_(s), table_(random_, s.dtype, s.vocab, s.hidden, 1.0f) {
    for (std::int64_t t = 0; t < s.rows; ++t)
      tokens_.push_back(static_cast<std::int32_t>(random_.below(s.vocab)));
    tokens_.front() = 0;
    tokens_.back() = static_cast<std::int32_t>(s.vocab - 1);
    sampled_ = {3, static_cast<std::int32_t>(s.vocab - 2)};
    if (s.rows > 2) tokens_[1] = -2;  // what the step before has chosen for slot 1
    out_.resize(static_cast<std::size_t>(s.rows * stride()));
  }

 protected:
  Embedding::Key key() const override { return {s_.dtype, activation(), s_.hidden}; }
  EmbeddingParams params(std::int64_t) override {
    return {.table = table_.view(),
            .tokens = tokens_.data(),
            .out = {out_.data(), s_.hidden, stride(), DType::F32},
            .rows = s_.rows,
            .sampled = sampled_.data()};
  }
  std::vector<CaseMemory> memory() override {
    return {table_.memory(), read_memory(tokens_), read_memory(sampled_), written_memory(out_)};
  }
  void relocate(EmbeddingParams& p, const CaseImageCopy& image) override {
    image.move(p.table, p.tokens, p.sampled, p.out);
  }
  void reset() override { poison(out_.data(), s_.rows * stride()); }
  std::vector<CaseOutput> outputs() const override {
    return {{"out", out_.data(), DType::F32, s_.rows * stride(), s_.rows * (stride() - s_.hidden)}};
  }
  std::vector<double> tolerance(std::size_t) const override { return {}; }

 private:
  std::int64_t stride() const { return case_stride(s_.hidden); }

  Sizes s_;
  CaseRandom random_{11};
  CaseWeight table_;
  std::vector<std::int32_t> tokens_, sampled_;
  std::vector<float> out_;
};

}  // namespace

std::vector<OpCase> embedding_cases() {
  std::vector<Sizes> sizes;
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16})
    for (const std::int64_t hidden : {37, 64}) sizes.push_back({dtype, 9, hidden, 3});
  for (const DType dtype : {DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1})
    sizes.push_back({dtype, 9, 96, 3});
  for (const DType dtype : {DType::Q4_K, DType::Q5_K, DType::Q6_K})
    sizes.push_back({dtype, 9, 512, 3});
  sizes.push_back({DType::BF16, 65536, 2048, 512, true});
  sizes.push_back({DType::Q6_K, 65536, 2048, 512, true});
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes)
    cases.push_back(
        {fmt::format("{} [{}, {}], {} rows", to_string(s.dtype), s.vocab, s.hidden, s.rows),
         fmt::format("{} table", to_string(s.dtype)), s.full_size,
         static_cast<double>(s.rows * (bytes_of(s.dtype, s.hidden) + s.hidden * 4)), 0, 0,
         [s](DType activation) { return std::make_unique<EmbeddingInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
