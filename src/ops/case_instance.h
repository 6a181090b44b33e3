// The part of an OpInstance that is the same for every op. An op's *_cases.cc adds its data.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/case_data.h"
#include "ops/op_cases.h"
#include "tensor/half.h"

namespace millrace {

// Half a unit in the last place of a float near 1: the relative error of one rounded operation.
constexpr double kRounding = 0x1p-24;

// Roundings on the longest way of a term into a sum of k products (Higham's bound is this number
// times kRounding times the sum of the terms' sizes): additions in a lane, at most 256 where 1024
// terms fall to 4 lanes; folding the lanes; one addition a chunk of 1024; the product, a residual,
// a bias.
inline double product_roundings(std::int64_t k) {
  return static_cast<double>(std::min<std::int64_t>(k, 256)) + 8 + static_cast<double>(k) / 1024;
}

// Memory that a kernel may write.
struct CaseOutput {
  std::string_view name;
  const void* data;
  DType dtype;  // F32, I32 or BF16
  std::int64_t count;
  std::int64_t untouched;  // elements that must still be poisoned afterwards
};

template <typename Op>
class CaseInstance : public OpInstance {
 public:
  std::vector<KernelVerdict> kernels(const DeviceTraits& traits) const final {
    std::vector<KernelVerdict> verdicts;
    for (const KernelSpec<Op>& spec : kernels_of(Op{})) {
      std::string reason = spec.backend != traits.backend
                               ? fmt::format("a kernel for {}", to_string(spec.backend))
                               : spec.rejects(key(), traits);
      verdicts.push_back({spec.name, spec.priority, std::move(reason)});
    }
    return verdicts;
  }

  void run(std::size_t kernel, Stream& stream) final {
    kernels_of(Op{})[kernel].launch(params(runs_++), stream);
  }

  std::vector<std::byte> output_bytes(std::size_t kernel, Stream& stream) final {
    reset();
    kernels_of(Op{})[kernel].launch(params(0), stream);
    std::vector<std::byte> bytes;
    for (const CaseOutput& output : outputs()) {
      const auto* from = static_cast<const std::byte*>(output.data);
      bytes.insert(bytes.end(), from, from + bytes_of(output.dtype, output.count));
    }
    return bytes;
  }

  Difference compare(std::size_t kernel, Stream& stream) final {
    const std::span<const KernelSpec<Op>> specs = kernels_of(Op{});
    const auto reference = std::find_if(specs.begin(), specs.end(), [](const KernelSpec<Op>& spec) {
      return spec.priority == Priority::Reference;
    });
    check(reference != specs.end(), "every op has a reference");
    reset();
    reference->launch(params(0), stream);
    std::vector<std::vector<std::byte>> wanted;
    std::vector<std::vector<double>> allowed;
    Difference difference;
    for (const CaseOutput& output : outputs()) {
      const auto* from = static_cast<const std::byte*>(output.data);
      wanted.emplace_back(from, from + bytes_of(output.dtype, output.count));
      allowed.push_back(tolerance(wanted.size() - 1));
      std::int64_t untouched = 0;
      for (std::int64_t i = 0; i < output.count; ++i)
        untouched += bits_at(output.dtype, output.data, i) == poison_of(output.dtype);
      if (untouched != output.untouched)
        return {std::numeric_limits<double>::infinity(),
                fmt::format("{}: the reference left {} elements unwritten, not {}", output.name,
                            untouched, output.untouched)};
    }
    reset();
    specs[kernel].launch(params(0), stream);
    const std::vector<CaseOutput> got = outputs();
    for (std::size_t o = 0; o < got.size(); ++o)
      for (std::int64_t i = 0; i < got[o].count; ++i)
        compare_element(got[o], wanted[o].data(), allowed[o], i, difference);
    return difference;
  }

 protected:
  virtual typename Op::Key key() const = 0;
  // For run number `run`; 0 is the one that is compared.
  virtual typename Op::Params params(std::int64_t run) = 0;
  // Poisons outputs and restores what earlier runs have changed.
  virtual void reset() = 0;
  virtual std::vector<CaseOutput> outputs() const = 0;
  // How far each element of an output may be from the reference, which has just run: one value an
  // element, derived from the number of roundings and the size of the terms. Empty: bit for bit.
  virtual std::vector<double> tolerance(std::size_t output) const = 0;

 private:
  static std::uint32_t poison_of(DType dtype) {
    return dtype == DType::BF16 ? kPoisonHalf : kPoisonBits;
  }
  static std::uint32_t bits_at(DType dtype, const void* data, std::int64_t i) {
    if (dtype == DType::BF16) return static_cast<const std::uint16_t*>(data)[i];
    return static_cast<const std::uint32_t*>(data)[i];
  }
  static double value_at(DType dtype, const void* data, std::int64_t i) {
    if (dtype == DType::I32) return static_cast<const std::int32_t*>(data)[i];
    if (dtype == DType::BF16) return to_float(static_cast<const BF16*>(data)[i]);
    return static_cast<const float*>(data)[i];
  }
  static void compare_element(const CaseOutput& output, const void* wanted,
                              const std::vector<double>& allowed, std::int64_t i,
                              Difference& difference) {
    if (bits_at(output.dtype, output.data, i) == bits_at(output.dtype, wanted, i)) return;
    const double got = value_at(output.dtype, output.data, i);
    const double want = value_at(output.dtype, wanted, i);
    const double limit = allowed.empty() ? 0 : allowed[static_cast<std::size_t>(i)];
    double excess = std::abs(got - want) / limit;
    if (got == want) excess = 0;  // zeros of either sign
    if (std::isnan(got) || std::isnan(want) || std::isnan(excess))
      excess = std::numeric_limits<double>::infinity();
    if (excess <= difference.worst) return;
    difference.worst = excess;
    difference.where =
        fmt::format("{}[{}]: got {}, want {}, allowed {}", output.name, i, got, want, limit);
  }

  std::int64_t runs_ = 0;
};

}  // namespace millrace
