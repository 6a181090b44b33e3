#include "device/cuda/cuda_device.h"

namespace millrace {

Result<std::unique_ptr<Device>> make_cuda_device(int) {
  return fail(ErrorCode::Unavailable, "this Millrace was built without CUDA");
}

std::vector<std::string> describe_cuda() {
  return {"not built in"};
}

}  // namespace millrace
