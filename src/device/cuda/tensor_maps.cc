#include "device/cuda/tensor_maps.h"

#include <cuda_runtime_api.h>

#include <string>

#include "device/cuda/cuda_stream.h"

namespace millrace::cuda {
namespace {

constexpr int kBoxColumns = 64;
// The driver is not linked, the runtime brings its functions; this one came with CUDA 12.0.
constexpr unsigned kDriverVersion = 12000;

decltype(&cuTensorMapEncodeTiled) encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  require(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kDriverVersion,
                                           cudaEnableDefault, &result),
          "looking up cuTensorMapEncodeTiled");
  if (result != cudaDriverEntryPointSuccess)
    throw DeviceError("the driver knows no tensor maps: version 525 or later is needed");
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

}  // namespace

CUtensorMap map_matrix(const void* data, std::int64_t rows, std::int64_t columns,
                       std::int64_t stride, int box_rows, CUtensorMapL2promotion promotion) {
  static const auto encode = encoder();
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(stride) * 2};  // bytes
  const cuuint32_t box[] = {kBoxColumns, static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[] = {1, 1};
  CUtensorMap map = {};
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(data), sizes, strides,
             box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, promotion,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw DeviceError("a tensor map of " + std::to_string(rows) + " x " + std::to_string(columns) +
                      ": the driver answers " + std::to_string(result));
  return map;
}

CUtensorMap map_rows(const void* rows, int box_rows) {
  constexpr std::int64_t kMostRows = std::int64_t{1} << 31;
  return map_matrix(rows, kMostRows, kBoxColumns, kBoxColumns, box_rows,
                    CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
}

}  // namespace millrace::cuda
