// How a kernel for decode_step_params.h is chosen. Optional: where no kernel exists, the model runs
// op by op.
#pragma once

#include <span>
#include <string>

#include "ops/decode_step/decode_plan.h"
#include "ops/kernel_registry.h"
#include "tensor/dtype.h"

namespace millrace {

struct DecodeStep {
  static constexpr std::string_view kName = "decode_step";
  struct Key {
    DType weight;  // of every matrix
    DType kv;
    DecodeShape shape;
  };
  using Params = DecodeStepLaunch;
  using Launch = void (*)(const DecodeStepLaunch&, Stream&);
};

std::string to_string(const DecodeStep::Key& key);
std::span<const KernelSpec<DecodeStep>> kernels_of(DecodeStep);

// On a stream of a backend that has such a kernel.
void pack_decode_weights(Backend backend, const DecodePack& pack, Stream& stream);
// What the step cannot be faster than: the same reading and barriers, nothing computed.
void launch_decode_bound(Backend backend, const DecodeStepLaunch& launch, Stream& stream);

// A block's shared memory on GPUs that such kernels run on.
constexpr std::int64_t kDecodeSharedBytes = 227 * 1024;

}  // namespace millrace
