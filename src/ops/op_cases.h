// Worked examples of every op: shapes, types and reproducible random data. One table drives the
// tests (small cases against the reference), the bench (cases of full size) and the support matrix.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/kernel_registry.h"
#include "tensor/dtype.h"

namespace millrace {

// How far a kernel is from the reference.
struct Difference {
  double worst = 0;   // largest |got - want| / allowed over all outputs; more than 1 is wrong
  std::string where;  // of the worst element: "out[130]: got 1.5, want 1.25, allowed 1e-06"
};

// A case with its data in memory. Kernels are named by their place in kernels().
class OpInstance {
 public:
  virtual ~OpInstance() = default;

  // All kernels of the op for this backend; the reason is empty where a kernel can run.
  virtual std::vector<KernelVerdict> kernels(const DeviceTraits& traits) const = 0;

  // Before anything is run on a device that cannot use the host's memory; does nothing for others.
  // The case is copied as often as `rotated_bytes` hold it, at least once: run() then goes from
  // copy to copy.
  virtual void place_on(Device& device, Stream& stream, std::int64_t rotated_bytes = 0) = 0;

  // Launches once. Full-size cases go from copy to copy of their large inputs, so that repeated
  // runs read memory and not a cache.
  virtual void run(std::size_t kernel, Stream& stream) = 0;

  // Runs the reference and the kernel from equal states, outputs poisoned with NaN, and compares
  // every element of every output, also those that nobody may write. `stream` is the kernel's.
  virtual Difference compare(std::size_t kernel, Stream& stream) = 0;

  // Runs from the initial state and returns all output bytes: for comparing bit for bit.
  virtual std::vector<std::byte> output_bytes(std::size_t kernel, Stream& stream) = 0;
};

struct OpCase {
  std::string name;    // "bf16 [6144, 2048], 1 row"
  std::string types;   // what support depends on: "BF16 weight"
  bool full_size;      // a model's shape: benches run these, tests the others
  double fixed_bytes;  // that one run must read and write at least, whatever the activations are
  double activations;  // elements of the activation type, read or written
  double flops;        // of one run
  // With activations of F32, or BF16 for devices that take it.
  std::function<std::unique_ptr<OpInstance>(DType activation)> make;

  double bytes(DType activation) const {
    return fixed_bytes + activations * static_cast<double>(bytes_of(activation, 1));
  }
};

struct OpTable {
  std::string_view op;
  std::vector<OpCase> cases;
};

std::span<const OpTable> all_op_tables();

// One line for each (op, types, kernel): for `millrace kernels`.
struct SupportRow {
  std::string_view op;
  std::string types;
  std::string_view kernel;
  Priority priority;
  std::string reason;  // why it cannot run there; empty if it can
};
std::vector<SupportRow> support_matrix(const DeviceTraits& traits, DType activation);

}  // namespace millrace
