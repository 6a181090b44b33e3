// AMD GPUs of the CDNA3 and CDNA4 generations: gfx942 and gfx950.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "device/device.h"
#include "device/hip/hip_api.h"

namespace millrace {

// Unavailable, saying why, when there is no such GPU, no HIP runtime, or no AMD code in this build.
Result<std::unique_ptr<Device>> make_hip_device(int index = 0);

// For `doctor`: what was built in and what was found, one line each.
std::vector<std::string> describe_hip();

namespace hip {

// The same over any implementation of the runtime.
Result<std::unique_ptr<Device>> make_device(std::shared_ptr<const Api> api, int index);

// "gfx942:sramecc+:xnack-" is 942; 0 for what is not a gfx name of digits.
int arch_of(const std::string& name);

}  // namespace hip
}  // namespace millrace
