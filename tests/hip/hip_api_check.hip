// Compiled where AMD's headers are: does src/device/hip/hip_api.h, which does without them, describe
// the same functions, numbers and layout?
#include <hip/hip_runtime.h>
#if __has_include(<hipblaslt/hipblaslt.h>)
#include <hipblaslt/hipblaslt.h>
#endif

#include <cstddef>
#include <type_traits>

#include "device/hip/hip_api.h"
#include "device/hip/hip_blas_lt.h"

namespace millrace::hip {
namespace {

static_assert(kSuccess == hipSuccess && kErrorInvalidValue == hipErrorInvalidValue);
static_assert(kErrorOutOfMemory == hipErrorOutOfMemory && kErrorNotReady == hipErrorNotReady);
static_assert(kStreamNonBlocking == hipStreamNonBlocking);
static_assert(kEventDefault == hipEventDefault);
static_assert(kEventDisableTiming == hipEventDisableTiming);
static_assert(kHostPortable == hipHostMallocPortable);
static_assert(kHostToDevice == hipMemcpyHostToDevice && kDeviceToHost == hipMemcpyDeviceToHost);
static_assert(kDeviceToDevice == hipMemcpyDeviceToDevice);
static_assert(kCaptureThreadLocal == hipStreamCaptureModeThreadLocal);

static_assert(sizeof(hipDeviceProp_t) == kPropertiesBytes);
static_assert(offsetof(hipDeviceProp_t, name) == kNameOffset);
static_assert(offsetof(hipDeviceProp_t, totalGlobalMem) == kMemoryOffset);
static_assert(offsetof(hipDeviceProp_t, multiProcessorCount) == kMultiprocessorsOffset);
static_assert(offsetof(hipDeviceProp_t, gcnArchName) == kArchNameOffset);

// Passed in the same way: both pointers, or both numbers of one size.
template <typename Ours, typename Theirs>
constexpr bool kAlike = sizeof(Ours) == sizeof(Theirs) &&
                        std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>;

template <typename Result, typename... Ours, typename Theirs, typename... Their>
constexpr bool same(Result (*)(Ours...), Theirs (*)(Their...)) {
  if constexpr (sizeof...(Ours) != sizeof...(Their))
    return false;
  else
    return kAlike<Result, Theirs> && (kAlike<Ours, Their> && ...);
}
#define MILLRACE_SAME(member, function) \
  static_assert(same(decltype(Api::member)(nullptr), static_cast<decltype(&function)>(nullptr)))

MILLRACE_SAME(get_device_count, hipGetDeviceCount);
MILLRACE_SAME(set_device, hipSetDevice);
MILLRACE_SAME(get_properties, hipGetDevicePropertiesR0600);
MILLRACE_SAME(get_runtime_version, hipRuntimeGetVersion);
MILLRACE_SAME(get_last_error, hipGetLastError);
MILLRACE_SAME(get_error_name, hipGetErrorName);
MILLRACE_SAME(get_error_string, hipGetErrorString);
MILLRACE_SAME(free, hipFree);
MILLRACE_SAME(host_free, hipHostFree);
MILLRACE_SAME(memset_async, hipMemsetAsync);
MILLRACE_SAME(memcpy_async, hipMemcpyAsync);
MILLRACE_SAME(stream_create, hipStreamCreateWithFlags);
MILLRACE_SAME(stream_destroy, hipStreamDestroy);
MILLRACE_SAME(stream_synchronize, hipStreamSynchronize);
MILLRACE_SAME(event_create, hipEventCreateWithFlags);
MILLRACE_SAME(event_destroy, hipEventDestroy);
MILLRACE_SAME(event_record, hipEventRecord);
MILLRACE_SAME(event_query, hipEventQuery);
MILLRACE_SAME(event_synchronize, hipEventSynchronize);
MILLRACE_SAME(event_elapsed_time, hipEventElapsedTime);
MILLRACE_SAME(begin_capture, hipStreamBeginCapture);
MILLRACE_SAME(end_capture, hipStreamEndCapture);
MILLRACE_SAME(graph_instantiate, hipGraphInstantiateWithFlags);
MILLRACE_SAME(graph_launch, hipGraphLaunch);
MILLRACE_SAME(graph_exec_destroy, hipGraphExecDestroy);
MILLRACE_SAME(graph_destroy, hipGraphDestroy);
MILLRACE_SAME(module_load, hipModuleLoadData);
MILLRACE_SAME(module_unload, hipModuleUnload);
MILLRACE_SAME(module_function, hipModuleGetFunction);
MILLRACE_SAME(launch, hipModuleLaunchKernel);
// These two are overloaded by templates.
static_assert(same(decltype(Api::malloc)(nullptr),
                   static_cast<hipError_t (*)(void**, std::size_t)>(hipMalloc)));
static_assert(same(decltype(Api::host_malloc)(nullptr),
                   static_cast<hipError_t (*)(void**, std::size_t, unsigned)>(hipHostMalloc)));

// hipBLASLt's headers are not among what `./dev hip` fetches; ROCm's packages have them.
#if __has_include(<hipblaslt/hipblaslt.h>)
static_assert(BlasApi::kSuccess == HIPBLAS_STATUS_SUCCESS);
static_assert(BlasApi::kCompute32F == HIPBLAS_COMPUTE_32F);
static_assert(BlasApi::kF32 == HIP_R_32F && BlasApi::kBf16 == HIP_R_16BF);
static_assert(BlasApi::kTransposeA == HIPBLASLT_MATMUL_DESC_TRANSA);
static_assert(BlasApi::kTransposed == HIPBLAS_OP_T);
static_assert(BlasApi::kMostWorkspace == HIPBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(sizeof(BlasApi::Algorithm) == sizeof(hipblasLtMatmulAlgo_t));
static_assert(sizeof(BlasApi::Heuristic) == sizeof(hipblasLtMatmulHeuristicResult_t));
static_assert(offsetof(BlasApi::Heuristic, state) == offsetof(hipblasLtMatmulHeuristicResult_t, state));
#define MILLRACE_SAME_BLAS(member, function) \
  static_assert(same(decltype(BlasApi::member)(nullptr), static_cast<decltype(&function)>(nullptr)))
MILLRACE_SAME_BLAS(create, hipblasLtCreate);
MILLRACE_SAME_BLAS(destroy, hipblasLtDestroy);
MILLRACE_SAME_BLAS(create_product, hipblasLtMatmulDescCreate);
MILLRACE_SAME_BLAS(destroy_product, hipblasLtMatmulDescDestroy);
MILLRACE_SAME_BLAS(set_product, hipblasLtMatmulDescSetAttribute);
MILLRACE_SAME_BLAS(create_layout, hipblasLtMatrixLayoutCreate);
MILLRACE_SAME_BLAS(destroy_layout, hipblasLtMatrixLayoutDestroy);
MILLRACE_SAME_BLAS(create_preference, hipblasLtMatmulPreferenceCreate);
MILLRACE_SAME_BLAS(destroy_preference, hipblasLtMatmulPreferenceDestroy);
MILLRACE_SAME_BLAS(set_preference, hipblasLtMatmulPreferenceSetAttribute);
MILLRACE_SAME_BLAS(find, hipblasLtMatmulAlgoGetHeuristic);
MILLRACE_SAME_BLAS(multiply, hipblasLtMatmul);
#endif

}  // namespace
}  // namespace millrace::hip
