// AMD's runtime, found when the program runs: one binary starts with and without it.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "device/hip/hip_api.h"

namespace millrace::hip {

// Unavailable, saying what is missing, when there is no libamdhip64 or it lacks a function. The
// library stays loaded as long as a copy of the pointer lives.
Result<std::shared_ptr<const Api>> load_hip();

}  // namespace millrace::hip
