// GPUs by name, and devices that are not here: what a choice of kernels needs to know of one.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "device/device.h"

namespace millrace {

// A GPU of every kind that Millrace has kernels for, with what its makers say of it.
std::span<const DeviceTraits> known_gpus();

// "gfx942", "sm_90", or part of a name: "MI325X". An empty backend ("cuda", "hip") leaves it open.
Result<DeviceTraits> find_known_gpu(const std::string& backend, const std::string& arch);

// Traits and nothing behind them. Memory has addresses and holds nothing: copies do not happen, and
// nothing may be launched.
std::unique_ptr<Device> make_described_device(DeviceTraits traits);

}  // namespace millrace
