// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/moe_route/moe_route_params.h"

namespace millrace::MILLRACE_GPU {

void run_moe_route(const MoeRouteParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
