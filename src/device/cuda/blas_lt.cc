#include "device/cuda/blas_lt.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <map>
#include <optional>

#include "device/cuda/cuda_stream.h"

namespace millrace::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;

// The functions we use, under their own types.
struct Library {
  void* handle = nullptr;
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulDescInit_internal) describe = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_product = nullptr;
  decltype(&cublasLtMatrixLayoutInit_internal) describe_matrix = nullptr;
  decltype(&cublasLtMatmulPreferenceInit_internal) describe_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find = nullptr;

  template <typename F>
  bool bind(F& function, const char* name) {
    function = reinterpret_cast<F>(::dlsym(handle, name));
    return function != nullptr;
  }
  bool bind_all() {
    return bind(create, "cublasLtCreate") && bind(destroy, "cublasLtDestroy") &&
           bind(matmul, "cublasLtMatmul") && bind(describe, "cublasLtMatmulDescInit_internal") &&
           bind(set_product, "cublasLtMatmulDescSetAttribute") &&
           bind(describe_matrix, "cublasLtMatrixLayoutInit_internal") &&
           bind(describe_preference, "cublasLtMatmulPreferenceInit_internal") &&
           bind(set_preference, "cublasLtMatmulPreferenceSetAttribute") &&
           bind(find, "cublasLtMatmulAlgoGetHeuristic");
  }
};

// The loader's own search path, then where toolkits and Python wheels put it.
void* open_library() {
  for (const char* name :
       {"libcublasLt.so.13", "libcublasLt.so", "/usr/local/cuda/lib64/libcublasLt.so.13",
        "/usr/local/cuda/targets/x86_64-linux/lib/libcublasLt.so.13", "libcublasLt.so.12"})
    if (void* handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) return handle;
  return nullptr;
}

class LoadedBlasLt final : public BlasLt {
 public:
  explicit LoadedBlasLt(const Library& library) : library_(library) {
    if (library_.create(&handle_) != CUBLAS_STATUS_SUCCESS) handle_ = nullptr;
    if (handle_) require(cudaMalloc(&workspace_, kWorkspaceBytes), "memory for cuBLASLt");
  }
  ~LoadedBlasLt() override {
    if (workspace_) cudaFree(workspace_);
    if (handle_) library_.destroy(handle_);
    ::dlclose(library_.handle);
  }
  LoadedBlasLt(const LoadedBlasLt&) = delete;
  LoadedBlasLt& operator=(const LoadedBlasLt&) = delete;

  bool usable() const { return handle_ != nullptr; }

  bool multiply(const GemmShape& shape, const void* in, const void* weight, void* out,
                cudaStream_t stream) override {
    const auto known = plans_.find(shape);
    std::optional<Plan>& plan = known != plans_.end()
                                    ? known->second
                                    : plans_.emplace(shape, make_plan(shape)).first->second;
    if (!plan) return false;
    const float one = 1.0f;
    const float beta = shape.adds ? 1.0f : 0.0f;
    // Column-major words: out^T [n x rows] = weight^T^T [n x k] * in^T [k x rows].
    return library_.matmul(handle_, &plan->product, &one, weight, &plan->a, in, &plan->b, &beta,
                           out, &plan->c, out, &plan->c, &plan->algorithm, workspace_,
                           kWorkspaceBytes, stream) == CUBLAS_STATUS_SUCCESS;
  }

 private:
  struct Plan {
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t a, b, c;
    cublasLtMatmulAlgo_t algorithm;
  };

  std::optional<Plan> make_plan(const GemmShape& s) const {
    Plan plan = {};
    const cudaDataType_t out_type = s.out == DType::BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const auto rows = static_cast<std::uint64_t>(s.rows);
    const auto n = static_cast<std::uint64_t>(s.n);
    const auto k = static_cast<std::uint64_t>(s.k);
    bool fine = library_.describe(&plan.product, sizeof(plan.product), CUBLAS_COMPUTE_32F,
                                  CUDA_R_32F) == CUBLAS_STATUS_SUCCESS;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    fine = fine && library_.set_product(&plan.product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                        sizeof(transposed)) == CUBLAS_STATUS_SUCCESS;
    fine = fine && library_.describe_matrix(&plan.a, sizeof(plan.a), CUDA_R_16BF, k, n, s.k) ==
                       CUBLAS_STATUS_SUCCESS;
    fine = fine && library_.describe_matrix(&plan.b, sizeof(plan.b), CUDA_R_16BF, k, rows,
                                            s.in_stride) == CUBLAS_STATUS_SUCCESS;
    fine = fine && library_.describe_matrix(&plan.c, sizeof(plan.c), out_type, n, rows,
                                            s.out_stride) == CUBLAS_STATUS_SUCCESS;
    cublasLtMatmulPreferenceOpaque_t preference = {};
    fine = fine &&
           library_.describe_preference(&preference, sizeof(preference)) == CUBLAS_STATUS_SUCCESS;
    fine = fine && library_.set_preference(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                           &kWorkspaceBytes,
                                           sizeof(kWorkspaceBytes)) == CUBLAS_STATUS_SUCCESS;
    if (!fine) return std::nullopt;
    cublasLtMatmulHeuristicResult_t found = {};
    int count = 0;
    if (library_.find(handle_, &plan.product, &plan.a, &plan.b, &plan.c, &plan.c, &preference, 1,
                      &found, &count) != CUBLAS_STATUS_SUCCESS ||
        count == 0)
      return std::nullopt;
    plan.algorithm = found.algo;
    return plan;
  }

  Library library_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<GemmShape, std::optional<Plan>> plans_;
};

}  // namespace

std::unique_ptr<BlasLt> BlasLt::load(std::string& why_not) {
  Library library;
  library.handle = open_library();
  if (library.handle == nullptr) {
    why_not = "libcublasLt is not installed: large products use our own kernels";
    return nullptr;
  }
  if (!library.bind_all()) {
    ::dlclose(library.handle);
    why_not = "libcublasLt lacks a function that is needed";
    return nullptr;
  }
  auto loaded = std::make_unique<LoadedBlasLt>(library);
  if (loaded->usable()) return loaded;
  why_not = "cuBLASLt could not be started on this GPU";
  return nullptr;
}

}  // namespace millrace::cuda
