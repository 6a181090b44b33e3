#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/gather_rows/gather_rows.h"

namespace millrace {
namespace {

struct Sizes {
  std::int64_t columns, rows, count;
  bool full_size = false;
};

class GatherRowsInstance final : public CaseInstance<GatherRows> {
 public:
  GatherRowsInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        in_(random_activations(random_, s.rows * stride(), 3.0f)),
        out_(static_cast<std::size_t>(s.count * stride())) {
    for (std::int64_t i = 0; i < s.count; ++i)
      rows_.push_back(static_cast<std::int32_t>(random_.below(s.rows)));
    rows_.back() = static_cast<std::int32_t>(s.rows - 1);
  }

 protected:
  GatherRows::Key key() const override { return {activation(), s_.columns}; }
  GatherRowsParams params(std::int64_t) override {
    return {.in = {in_.data(), s_.columns, stride(), DType::F32},
            .rows = rows_.data(),
            .out = {out_.data(), s_.columns, stride(), DType::F32},
            .count = s_.count};
  }
  std::vector<CaseMemory> memory() override {
    return {as_activation(read_memory(in_)), read_memory(rows_),
            as_activation(written_memory(out_))};
  }
  void relocate(GatherRowsParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.rows, p.out);
  }
  void reset() override { poison(out_.data(), static_cast<std::int64_t>(out_.size())); }
  std::vector<CaseOutput> outputs() const override {
    const auto count = static_cast<std::int64_t>(out_.size());
    return {{"out", out_.data(), DType::F32, count, count - s_.count * s_.columns}};
  }
  std::vector<double> tolerance(std::size_t) const override { return {}; }

 private:
  std::int64_t stride() const { return case_stride(s_.columns); }

  Sizes s_;
  CaseRandom random_{17};
  std::vector<float> in_, out_;
  std::vector<std::int32_t> rows_;
};

}  // namespace

std::vector<OpCase> gather_rows_cases() {
  std::vector<OpCase> cases;
  for (const Sizes& s : std::vector<Sizes>{
           {1, 1, 1}, {37, 5, 3}, {64, 9, 9}, {2048, 30, 4}, {2048, 8192, 512, true}})
    cases.push_back(
        {fmt::format("{} of {} rows, {} columns", s.count, s.rows, s.columns), "F32", s.full_size,
         0, static_cast<double>(s.count * s.columns * 2), 0,
         [s](DType activation) { return std::make_unique<GatherRowsInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
