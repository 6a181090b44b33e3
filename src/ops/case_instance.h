// The part of an OpInstance that is the same for every op. An op's *_cases.cc adds its data.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "ops/case_data.h"
#include "ops/case_image.h"
#include "ops/op_cases.h"
#include "tensor/fp8.h"
#include "tensor/half.h"

namespace millrace {

// Half a unit in the last place of a float near 1: the relative error of one rounded operation.
constexpr double kRounding = 0x1p-24;
// The same of a BF16.
constexpr double kNarrowRounding = 0x1p-8;

// Roundings on the longest way of a term into a sum of k products (Higham's bound is this number
// times kRounding times the sum of the terms' sizes): additions in a lane, at most 256 where 1024
// terms fall to 4 lanes; folding the lanes; one addition a chunk of 1024; the product, a residual,
// a bias.
inline double product_roundings(std::int64_t k) {
  return static_cast<double>(std::min<std::int64_t>(k, 256)) + 8 + static_cast<double>(k) / 1024;
}

// Relative to the size of the terms: a sum of k products whose rows RMSNorm scales. To the
// product's roundings come those of the scale, as in rms_norm, and its multiplication.
inline double normed_rounding(std::int64_t k) {
  return kRounding * (product_roundings(k) + static_cast<double>(k) / 8 + 20);
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
  // Activations are F32, or BF16 on devices that take it; then they hold values of BF16, so that
  // the reference, which computes with floats, sees what the kernel sees.
  explicit CaseInstance(DType activation) : activation_(activation) {}

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

  void place_on(Device& device, Stream& stream, std::int64_t rotated_bytes) final {
    if (device.uses_host_memory()) return;
    reset();
    std::vector<CaseMemory> parts = memory();
    const std::int64_t bytes = CaseImage::bytes_for(parts);
    image_.emplace(device, activation_, std::move(parts),
                   std::clamp<std::int64_t>(rotated_bytes / bytes, 1, kMostCopies));
    image_->upload(stream);
    host_ = make_cpu_device(1);
    host_stream_ = host_->make_stream();
  }

  void run(std::size_t kernel, Stream& stream) final { launch(kernel, runs_++, stream); }

  std::vector<std::byte> output_bytes(std::size_t kernel, Stream& stream) final {
    run_from_start(kernel, stream);
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
    reference->launch(params(0), image_ ? *host_stream_ : stream);
    std::vector<std::vector<std::byte>> wanted;
    std::vector<std::vector<double>> allowed;
    for (const CaseOutput& output : outputs()) {
      const auto* from = static_cast<const std::byte*>(output.data);
      wanted.emplace_back(from, from + bytes_of(output.dtype, output.count));
      allowed.push_back(tolerance(wanted.size() - 1));
      if (image_ && image_->is_narrow(output.data)) allow_narrowing(output, allowed.back());
      std::int64_t untouched = 0;
      for (std::int64_t i = 0; i < output.count; ++i)
        untouched += bits_at(output.dtype, output.data, i) == poison_of(output.dtype);
      if (untouched != output.untouched)
        return {std::numeric_limits<double>::infinity(),
                fmt::format("{}: the reference left {} elements unwritten, not {}", output.name,
                            untouched, output.untouched)};
    }
    if (!run_from_start(kernel, stream))
      return {std::numeric_limits<double>::infinity(), "an input was written to"};
    Difference difference;
    const std::vector<CaseOutput> got = outputs();
    for (std::size_t o = 0; o < got.size(); ++o)
      for (std::int64_t i = 0; i < got[o].count; ++i)
        compare_element(got[o], wanted[o].data(), allowed[o], i, difference);
    return difference;
  }

 protected:
  DType activation() const { return activation_; }
  bool is_narrow() const { return activation_ == DType::BF16; }
  // Random numbers that the activation type can hold.
  std::vector<float> random_activations(CaseRandom& random, std::int64_t count, float largest) {
    std::vector<float> values = random_floats(random, count, largest);
    if (is_narrow())
      for (float& value : values) value = to_float(to_bf16(value));
    return values;
  }

  virtual typename Op::Key key() const = 0;
  // For run number `run`; 0 is the one that is compared. Pointers into the host's memory.
  virtual typename Op::Params params(std::int64_t run) = 0;
  // All memory that params() may point into.
  virtual std::vector<CaseMemory> memory() = 0;
  // Moves every pointer of the parameters to the image of that memory.
  virtual void relocate(typename Op::Params& params, const CaseImageCopy& image) = 0;
  // Poisons outputs and restores what earlier runs have changed.
  virtual void reset() = 0;
  virtual std::vector<CaseOutput> outputs() const = 0;
  // How far each element of an output may be from the reference, which has just run: one value an
  // element, derived from the number of roundings and the size of the terms. Empty: bit for bit.
  // Outputs that the device stores in BF16 may be off by that rounding too: added elsewhere.
  virtual std::vector<double> tolerance(std::size_t output) const = 0;

 private:
  static constexpr std::int64_t kMostCopies = 128;  // in a device's memory

  void launch(std::size_t kernel, std::int64_t run, Stream& stream) {
    typename Op::Params p = params(run);
    if (image_) relocate(p, CaseImageCopy(*image_, run % image_->copies()));
    kernels_of(Op{})[kernel].launch(p, stream);
  }

  // One run from the initial state, its outputs in the host's memory. False if the device's kernel
  // has changed an input.
  bool run_from_start(std::size_t kernel, Stream& stream) {
    reset();
    if (image_) image_->upload(stream);
    launch(kernel, 0, stream);
    return !image_ || image_->download(stream);
  }

  // A value within `allowed` of the reference's, rounded to BF16; the smallest numbers of BF16 are
  // 2^-133 apart.
  static void allow_narrowing(const CaseOutput& output, std::vector<double>& allowed) {
    allowed.resize(static_cast<std::size_t>(output.count));
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      const double want =
          std::abs(value_at(output.dtype, output.data, static_cast<std::int64_t>(i)));
      allowed[i] += kNarrowRounding * (want + allowed[i]) + 0x1p-134;
    }
  }

  static std::uint32_t poison_of(DType dtype) {
    if (dtype == DType::F8_E4M3) return kPoisonByte;
    return dtype == DType::BF16 ? kPoisonHalf : kPoisonBits;
  }
  static std::uint32_t bits_at(DType dtype, const void* data, std::int64_t i) {
    if (dtype == DType::F8_E4M3) return static_cast<const std::uint8_t*>(data)[i];
    if (dtype == DType::BF16) return static_cast<const std::uint16_t*>(data)[i];
    return static_cast<const std::uint32_t*>(data)[i];
  }
  static double value_at(DType dtype, const void* data, std::int64_t i) {
    if (dtype == DType::I32) return static_cast<const std::int32_t*>(data)[i];
    if (dtype == DType::F8_E4M3)
      return fp8_to_float(static_cast<const F8E4M3*>(data)[i].bits, Fp8::Ocp);
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

  DType activation_;
  std::int64_t runs_ = 0;
  std::optional<CaseImage> image_;  // where kernels cannot use the host's memory
  std::unique_ptr<Device> host_;    // for the reference, then
  std::unique_ptr<Stream> host_stream_;
};

}  // namespace millrace
