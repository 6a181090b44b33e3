// One table of cases an op. It drives the op's correctness test, its bench and the support matrix,
// so that the three cannot drift apart.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "ops/kernel_registry.h"
#include "ops/matrix_view.h"
#include "tensor/buffer.h"
#include "tensor/decode_row.h"
#include "tensor/half.h"

namespace millrace {

// A case with its inputs made: kernels can run on it and be compared.
class OpInstance {
 public:
  virtual ~OpInstance() = default;

  // Every kernel of the op, in the registry's order, with the reason why it cannot run here.
  virtual std::vector<KernelVerdict> kernels(const DeviceTraits& traits) const = 0;
  // Restores inputs, fills outputs with NaN, and launches the i-th kernel.
  virtual void run(std::size_t kernel, Stream& stream) = 0;
  // Launches alone, for timing.
  virtual void launch(std::size_t kernel, Stream& stream) = 0;
  // All that the kernel was to write, widened.
  virtual std::vector<float> output() const = 0;
};

struct OpCase {
  std::string op;
  std::string name;        // "bf16 2048x6144 rows 1"
  std::string type;        // what the support matrix lists: "bf16"
  bool full_size = false;  // a real model's shape: timed, and tested only on demand
  double bytes = 0;        // that must move, each input read and output written once
  double flops = 0;
  // A kernel may differ from the reference by absolute + relative * |reference|; derived from the
  // roundings that the op's definition leaves open.
  float absolute = 0;
  float relative = 0;
  std::function<std::unique_ptr<OpInstance>()> make;
};

// The tables of all ops, op by op.
std::vector<OpCase> all_op_cases();

std::vector<OpCase> attention_cases();
std::vector<OpCase> embedding_cases();
std::vector<OpCase> linear_cases();
std::vector<OpCase> moe_experts_cases();
std::vector<OpCase> moe_route_cases();
std::vector<OpCase> rms_norm_cases();
std::vector<OpCase> rope_kv_cases();
std::vector<OpCase> short_conv_cases();
std::vector<OpCase> silu_mul_cases();

// What the *_cases.cc files are written with.
template <typename Op>
class TypedInstance final : public OpInstance {
 public:
  typename Op::Key key = {};
  typename Op::Params params = {};

  explicit TypedInstance(unsigned seed = 1) : random_(seed) {}

  // Memory of the instance. `deviation` 0: left zero.
  void* random_values(DType dtype, std::int64_t count, double deviation, double mean = 0) {
    Buffer& buffer = memory_.emplace_back(static_cast<std::size_t>(bytes_of(dtype, count)) + 64);
    if (is_quantised(dtype)) {
      fill_blocks(dtype, buffer);
      return buffer.as<void>();
    }
    std::normal_distribution<float> normal(static_cast<float>(mean), static_cast<float>(deviation));
    for (std::int64_t i = 0; deviation > 0 && i < count; ++i) {
      const float value = normal(random_);
      if (dtype == DType::F32) buffer.as<float>()[i] = value;
      if (dtype == DType::BF16) buffer.as<BF16>()[i] = to_bf16(value);
      if (dtype == DType::F16) buffer.as<F16>()[i] = to_f16(value);
    }
    return buffer.as<void>();
  }
  float* floats(std::int64_t count, double deviation, double mean = 0) {
    return static_cast<float*>(random_values(DType::F32, count, deviation, mean));
  }
  std::int32_t* integers(std::int64_t count, const std::function<std::int32_t(std::int64_t)>& of) {
    Buffer& buffer = memory_.emplace_back(static_cast<std::size_t>(count) * 4 + 64);
    for (std::int64_t i = 0; i < count; ++i) buffer.as<std::int32_t>()[i] = of(i);
    return buffer.as<std::int32_t>();
  }
  template <typename T>
  T* copy_of(const std::vector<T>& values) {
    Buffer& buffer = memory_.emplace_back(values.size() * sizeof(T) + 64);
    std::memcpy(buffer.as<void>(), values.data(), values.size() * sizeof(T));
    return buffer.as<T>();
  }
  MatrixView matrix(std::int64_t rows, std::int64_t columns, double deviation) {
    return {floats(rows * columns, deviation), columns, columns, DType::F32};
  }
  std::mt19937& random() { return random_; }

  // Declares what the kernel writes. Inputs that it also reads are given back before each run;
  // pure outputs are filled with NaN.
  void writes(void* data, DType dtype, std::int64_t count, bool is_also_read) {
    const auto bytes = static_cast<std::size_t>(bytes_of(dtype, count));
    Region region = {data, dtype, count, std::vector<std::byte>(bytes, std::byte{0xff})};
    if (is_also_read) std::memcpy(region.initial.data(), data, bytes);
    regions_.push_back(std::move(region));
  }
  void writes(const MatrixView& view, std::int64_t rows, bool is_also_read) {
    writes(view.data, view.dtype, rows * view.stride, is_also_read);
  }

  // An input that kernels may use as scratch: given back before each run, never compared.
  void gives_back(const MatrixView& view, std::int64_t rows) {
    writes(view, rows, true);
    regions_.back().compared = false;
  }

  std::vector<KernelVerdict> kernels(const DeviceTraits& traits) const override {
    std::vector<KernelVerdict> verdicts;
    for (const KernelSpec<Op>& spec : kernels_of(Op{}))
      verdicts.push_back(
          {spec.name, spec.priority,
           spec.backend != traits.backend ? "another backend" : spec.rejects(key, traits)});
    return verdicts;
  }
  void run(std::size_t kernel, Stream& stream) override {
    for (Region& region : regions_)
      std::memcpy(region.data, region.initial.data(), region.initial.size());
    launch(kernel, stream);
  }
  void launch(std::size_t kernel, Stream& stream) override {
    kernels_of(Op{})[kernel].launch(params, stream);
  }
  std::vector<float> output() const override {
    std::vector<float> all;
    for (const Region& region : regions_) {
      if (!region.compared) continue;
      const std::size_t at = all.size();
      all.resize(at + static_cast<std::size_t>(region.count));
      if (region.dtype == DType::I32)
        for (std::int64_t i = 0; i < region.count; ++i)
          all[at + static_cast<std::size_t>(i)] =
              static_cast<float>(static_cast<const std::int32_t*>(region.data)[i]);
      else
        decode_row(region.dtype, region.data, region.count, all.data() + at);
    }
    return all;
  }

 private:
  struct Region {
    void* data;
    DType dtype;
    std::int64_t count;
    std::vector<std::byte> initial;
    bool compared = true;
  };

  // Any bits are valid quants; the halves that scale them are made small numbers, so that weights
  // come out near the size that plain ones have.
  void fill_blocks(DType dtype, Buffer& buffer) {
    for (std::size_t i = 0; i + 4 <= buffer.size(); i += 4)
      buffer.as<std::uint32_t>()[i / 4] = static_cast<std::uint32_t>(random_());
    const auto block_bytes = static_cast<std::size_t>(layout_of(dtype).block_bytes);
    const bool has_group_scales = layout_of(dtype).block_size == 256;
    std::uniform_real_distribution<float> scale(has_group_scales ? 2e-5f : 1e-3f,
                                                has_group_scales ? 1e-4f : 6e-3f);
    const std::size_t first = dtype == DType::Q6_K ? 208 : 0;
    const bool has_minimum = dtype == DType::Q4_1 || dtype == DType::Q5_1 || dtype == DType::Q4_K ||
                             dtype == DType::Q5_K;
    for (std::size_t at = 0; at + block_bytes <= buffer.size(); at += block_bytes) {
      for (std::size_t field = 0; field < (has_minimum ? 2u : 1u); ++field) {
        const F16 half = to_f16(scale(random_));
        std::memcpy(buffer.as<std::byte>() + at + first + 2 * field, &half, sizeof(half));
      }
    }
  }

  std::mt19937 random_;
  std::vector<Buffer> memory_;
  std::vector<Region> regions_;
};

}  // namespace millrace
