#include "device/cuda/tensor_maps.h"

#include <cuda_runtime_api.h>

#include <string>

#include "device/cuda/cuda_stream.h"

namespace millrace::cuda {
namespace {

constexpr std::uint64_t kColumns = 64;
constexpr std::uint64_t kMostRows = std::uint64_t{1} << 31;
// The driver is not linked, the runtime brings its functions; this one came with CUDA 12.0.
constexpr unsigned kDriverVersion = 12000;

decltype(&cuTensorMapEncodeTiled) encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  require(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kDriverVersion,
                                           cudaEnableDefault, &result),
          "looking up cuTensorMapEncodeTiled");
  if (result != cudaDriverEntryPointSuccess)
    throw DeviceError("the driver lacks cuTensorMapEncodeTiled");
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

}  // namespace

CUtensorMap map_rows(const void* rows, int box_rows) {
  static const auto encode = encoder();
  CUtensorMap map = {};
  const cuuint64_t sizes[] = {kColumns, kMostRows};
  const cuuint64_t strides[] = {kColumns * 2};  // bytes
  const cuuint32_t box[] = {kColumns, static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[] = {1, 1};
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(rows), sizes, strides,
             box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw DeviceError("cuTensorMapEncodeTiled: error " + std::to_string(result));
  return map;
}

}  // namespace millrace::cuda
