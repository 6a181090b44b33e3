#include <numeric>

#include "ops/bring_inputs/bring_inputs.h"
#include "ops/case_instance.h"
#include "ops/case_tables.h"

namespace millrace {
namespace {

struct Sizes {
  std::vector<std::int64_t> words;  // of the pieces
  bool full_size = false;
};

// Pieces from all over one buffer to all over another, words apart.
class BringInputsInstance final : public CaseInstance<BringInputs> {
 public:
  BringInputsInstance(const Sizes& s, DType activation) : CaseInstance(activation), s_(s) {
    for (const std::int64_t words : s.words) count_ += words + 1;
    for (std::int64_t i = 0; i < count_; ++i)
      from_.push_back(static_cast<std::int32_t>(random_.below(1 << 30)));
    to_.resize(from_.size());
  }

 protected:
  BringInputs::Key key() const override { return {activation()}; }
  BringInputsParams params(std::int64_t) override {
    BringInputsParams p;
    std::int64_t from = 0;
    std::int64_t to = count_;
    for (const std::int64_t words : s_.words) {
      to -= words + 1;
      p.pieces[p.count++] = {reinterpret_cast<std::uint32_t*>(to_.data() + to),
                             reinterpret_cast<const std::uint32_t*>(from_.data() + from), words};
      from += words + 1;
    }
    return p;
  }
  std::vector<CaseMemory> memory() override { return {read_memory(from_), written_memory(to_)}; }
  void relocate(BringInputsParams& p, const CaseImageCopy& image) override {
    for (int i = 0; i < p.count; ++i) image.move(p.pieces[i].to, p.pieces[i].from);
  }
  void reset() override { poison(to_.data(), DType::I32, count_); }
  std::vector<CaseOutput> outputs() const override {
    return {{"to", to_.data(), DType::I32, count_, std::ssize(s_.words)}};
  }
  std::vector<double> tolerance(std::size_t) const override { return {}; }

 private:
  Sizes s_;
  CaseRandom random_{19};
  std::int64_t count_ = 0;
  std::vector<std::int32_t> from_, to_;
};

}  // namespace

std::vector<OpCase> bring_inputs_cases() {
  std::vector<OpCase> cases;
  for (const Sizes& s :
       std::vector<Sizes>{{{1}},
                          {{3, 0, 257, 256}},
                          {std::vector<std::int64_t>(BringInputsParams::kMostPieces, 5)},
                          {{700, 100, 2100, 100, 100, 80, 81, 82, 83, 84, 85}, true}}) {
    const std::int64_t words = std::accumulate(s.words.begin(), s.words.end(), std::int64_t{0});
    cases.push_back({fmt::format("{} pieces, {} words", s.words.size(), words), "I32", s.full_size,
                     static_cast<double>(8 * words), 0, 0, [s](DType activation) {
                       return std::make_unique<BringInputsInstance>(s, activation);
                     }});
  }
  return cases;
}

}  // namespace millrace
