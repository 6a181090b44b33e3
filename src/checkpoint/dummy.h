// Random weights in place of a checkpoint: for speed measurements and tests without downloads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/checkpoint.h"

namespace millrace {

// Values are uniform around `mean` (for norms: 1) with standard deviation `deviation`;
// quantised types have mean 0 and blocks of sane scales. Not I32.
struct DummyTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::BF16;
  double mean = 0.0;
  double deviation = 0.02;
};

// Makes the tensors in anonymous memory, with a progress bar. A value depends on the seed, the
// tensor's name and its place alone, not on threads or neighbours; float types hold the same
// values up to rounding. Fails on rows of broken blocks, on sizes that overflow, and on a
// deviation the type cannot express. threads 0: all cores. Throws std::bad_alloc where the address
// space does not suffice.
Result<std::unique_ptr<Checkpoint>> make_dummy_checkpoint(std::string origin,
                                                          std::span<const DummyTensor> tensors,
                                                          std::uint64_t seed, int threads = 0);

// The same tensors without values: zeros that take no memory. For asking what would be done with
// them.
Result<std::unique_ptr<Checkpoint>> make_outline_checkpoint(std::string origin,
                                                            std::span<const DummyTensor> tensors);

}  // namespace millrace
