#include "ops/hopper/tensor_map.h"

#include <cuda_runtime_api.h>

#include <string>

#include "device/cuda/cuda_stream.h"
#include "ops/hopper/hopper_shape.h"

namespace millrace::cuda::hopper {
namespace {

// The driver's own function, found at run time: nothing here links with libcuda.
using Encode = decltype(&cuTensorMapEncodeTiled);

Encode find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = {};
  require(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                           cudaEnableDefault, &found),
          "the driver's tensor maps");
  if (found != cudaDriverEntryPointSuccess || function == nullptr)
    throw DeviceError("the driver knows no tensor maps: version 525 or later is needed");
  return reinterpret_cast<Encode>(function);
}

}  // namespace

CUtensorMap tensor_map(const BF16* data, std::int64_t rows, std::int64_t k, std::int64_t stride,
                       int box_rows) {
  static const Encode encode = find_encode();
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(k), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(stride) * sizeof(BF16)};
  const cuuint32_t box[] = {kDepth, static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[] = {1, 1};
  CUtensorMap map;
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<BF16*>(data), sizes, strides,
             box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw DeviceError("a tensor map of " + std::to_string(rows) + " x " + std::to_string(k) +
                      ": the driver answers " + std::to_string(result));
  return map;
}

}  // namespace millrace::cuda::hopper
