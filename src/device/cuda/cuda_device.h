// NVIDIA GPUs. Where Millrace was built without CUDA, cuda_absent.cc answers instead.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "device/device.h"

namespace millrace {

// Unavailable, saying why, when there is no such GPU, no driver, or no CUDA in this build.
Result<std::unique_ptr<Device>> make_cuda_device(int index = 0);

// For `doctor`: what was built in and what was found, one line each.
std::vector<std::string> describe_cuda();

}  // namespace millrace
