#include "device/cuda/blas_lt.h"

#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "device/cuda/cuda_stream.h"
#include "device/gpu/choice_file.h"
#include "device/shared_library.h"

namespace millrace::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;
// The library's ways are measured for products of so many rows and more: a prompt's. What fewer
// rows take is bound by reading the weights, whichever way is taken.
constexpr std::int64_t kFewestMeasuredRows = 256;
constexpr int kMostWays = 8;
constexpr int kRounds = 4;  // of runs of each way; the first warms up
// Of its time that a way must save before it is preferred to the library's first.
constexpr float kWorthwhile = 0.01f;

// The functions we use, under their own types.
struct BlasApi {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulDescInit_internal) describe = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_product = nullptr;
  decltype(&cublasLtMatrixLayoutInit_internal) describe_matrix = nullptr;
  decltype(&cublasLtMatmulPreferenceInit_internal) describe_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find = nullptr;
  decltype(&cublasLtMatmulAlgoCheck) check_way = nullptr;
  decltype(&cublasLtGetVersion) version = nullptr;

  void bind_all(SharedLibrary& library) {
    library.bind(create, "cublasLtCreate");
    library.bind(destroy, "cublasLtDestroy");
    library.bind(matmul, "cublasLtMatmul");
    library.bind(describe, "cublasLtMatmulDescInit_internal");
    library.bind(set_product, "cublasLtMatmulDescSetAttribute");
    library.bind(describe_matrix, "cublasLtMatrixLayoutInit_internal");
    library.bind(describe_preference, "cublasLtMatmulPreferenceInit_internal");
    library.bind(set_preference, "cublasLtMatmulPreferenceSetAttribute");
    library.bind(find, "cublasLtMatmulAlgoGetHeuristic");
    library.bind(check_way, "cublasLtMatmulAlgoCheck");
    library.bind(version, "cublasLtGetVersion");
  }
};

// The loader's own search path, then where toolkits and Python wheels put it.
std::unique_ptr<SharedLibrary> open_library() {
  return SharedLibrary::open(
      {"libcublasLt.so.13", "libcublasLt.so", "/usr/local/cuda/lib64/libcublasLt.so.13",
       "/usr/local/cuda/targets/x86_64-linux/lib/libcublasLt.so.13", "libcublasLt.so.12"});
}

// A way as text: the library promises that these bytes hold for its own version.
std::string to_text(const cublasLtMatmulAlgo_t& way) {
  std::string text;
  for (const std::uint64_t word : way.data) text += fmt::format("{:016x}", word);
  return text;
}
std::optional<cublasLtMatmulAlgo_t> way_of(const std::string& text) {
  cublasLtMatmulAlgo_t way = {};
  if (text.size() != 16 * std::size(way.data)) return {};
  for (std::size_t i = 0; i < std::size(way.data); ++i) {
    const char* first = text.data() + 16 * i;
    const auto [end, error] = std::from_chars(first, first + 16, way.data[i], 16);
    if (error != std::errc() || end != first + 16) return {};
  }
  return way;
}

// What a way is measured for: row counts up to a power of two are taken together.
std::string name_of(const GemmShape& s) {
  return fmt::format("{}x{}x{},{},{},{}{}", std::bit_ceil(static_cast<std::uint64_t>(s.rows)), s.n,
                     s.k, s.in_stride, s.out_stride, to_string(s.out), s.adds ? ",adds" : "");
}

std::string identity_of_this(std::size_t library_version) {
  int device = 0, driver = 0;
  cudaDeviceProp properties = {};
  require(cudaGetDevice(&device), "the current GPU");
  require(cudaGetDeviceProperties(&properties, device), "properties of the GPU");
  require(cudaDriverGetVersion(&driver), "the driver's version");
  return fmt::format("product choices 1: {}, driver {}, cuBLASLt {}", properties.name, driver,
                     library_version);
}

class LoadedBlasLt final : public BlasLt {
 public:
  LoadedBlasLt(std::unique_ptr<SharedLibrary> library, const BlasApi& blas,
               const std::string& choices)
      : library_(std::move(library)), blas_(blas) {
    if (blas_.create(&handle_) != CUBLAS_STATUS_SUCCESS) handle_ = nullptr;
    if (!handle_) return;
    require(cudaMalloc(&workspace_, kWorkspaceBytes), "memory for cuBLASLt");
    if (choices.empty()) return;
    choices_.emplace(choices, identity_of_this(blas_.version()));
    for (cudaEvent_t& mark : marks_) require(cudaEventCreate(&mark), "a new CUDA event");
  }
  ~LoadedBlasLt() override {
    for (cudaEvent_t mark : marks_)
      if (mark) cudaEventDestroy(mark);
    if (workspace_) cudaFree(workspace_);
    if (handle_) blas_.destroy(handle_);
  }
  LoadedBlasLt(const LoadedBlasLt&) = delete;
  LoadedBlasLt& operator=(const LoadedBlasLt&) = delete;

  bool usable() const { return handle_ != nullptr; }

  bool multiply(const GemmShape& shape, const void* in, const void* weight, void* out,
                cudaStream_t stream) override {
    const Operands operands = {in, weight, out, out};
    const auto known = plans_.find(shape);
    std::optional<Plan>& plan =
        known != plans_.end()
            ? known->second
            : plans_.emplace(shape, make_plan(shape, operands, stream)).first->second;
    return plan && run(*plan, plan->way, shape, operands, stream);
  }

 private:
  struct Plan {
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t a, b, c;
    cublasLtMatmulAlgo_t way;
  };
  struct Operands {
    const void* in;
    const void* weight;
    const void* added;
    void* out;
  };

  // Column-major words: out^T [n x rows] = weight^T^T [n x k] * in^T [k x rows].
  bool run(Plan& plan, const cublasLtMatmulAlgo_t& way, const GemmShape& shape,
           const Operands& operands, cudaStream_t stream) const {
    const float one = 1.0f;
    const float beta = shape.adds ? 1.0f : 0.0f;
    return blas_.matmul(handle_, &plan.product, &one, operands.weight, &plan.a, operands.in,
                        &plan.b, &beta, operands.added, &plan.c, operands.out, &plan.c, &way,
                        workspace_, kWorkspaceBytes, stream) == CUBLAS_STATUS_SUCCESS;
  }

  std::optional<Plan> make_plan(const GemmShape& s, const Operands& operands, cudaStream_t stream) {
    Plan plan = {};
    const cudaDataType_t out_type = s.out == DType::BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const auto rows = static_cast<std::uint64_t>(s.rows);
    const auto n = static_cast<std::uint64_t>(s.n);
    const auto k = static_cast<std::uint64_t>(s.k);
    const auto fine = [](cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS; };
    const cublasOperation_t transposed = CUBLAS_OP_T;
    cublasLtMatmulPreferenceOpaque_t preference = {};
    if (!fine(
            blas_.describe(&plan.product, sizeof(plan.product), CUBLAS_COMPUTE_32F, CUDA_R_32F)) ||
        !fine(blas_.set_product(&plan.product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                sizeof(transposed))) ||
        !fine(blas_.describe_matrix(&plan.a, sizeof(plan.a), CUDA_R_16BF, k, n, s.k)) ||
        !fine(blas_.describe_matrix(&plan.b, sizeof(plan.b), CUDA_R_16BF, k, rows, s.in_stride)) ||
        !fine(blas_.describe_matrix(&plan.c, sizeof(plan.c), out_type, n, rows, s.out_stride)) ||
        !fine(blas_.describe_preference(&preference, sizeof(preference))) ||
        !fine(blas_.set_preference(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                   &kWorkspaceBytes, sizeof(kWorkspaceBytes))))
      return std::nullopt;
    const bool measures = choices_ && s.rows >= kFewestMeasuredRows;
    if (measures && take_known_way(s, plan)) return plan;
    std::vector<cublasLtMatmulHeuristicResult_t> found(measures ? kMostWays : 1);
    int count = 0;
    if (!fine(blas_.find(handle_, &plan.product, &plan.a, &plan.b, &plan.c, &plan.c, &preference,
                         static_cast<int>(found.size()), found.data(), &count)) ||
        count == 0)
      return std::nullopt;
    found.resize(static_cast<std::size_t>(count));
    plan.way = found.front().algo;
    if (measures) take_quickest_way(s, found, operands, stream, plan);
    return plan;
  }

  // From the file; the library says whether it can go that way for this very shape.
  bool take_known_way(const GemmShape& s, Plan& plan) const {
    const std::optional<std::string> text = choices_->find(name_of(s));
    const std::optional<cublasLtMatmulAlgo_t> way = text ? way_of(*text) : std::nullopt;
    cublasLtMatmulHeuristicResult_t result = {};
    if (!way ||
        blas_.check_way(handle_, &plan.product, &plan.a, &plan.b, &plan.c, &plan.c, &*way,
                        &result) != CUBLAS_STATUS_SUCCESS ||
        result.workspaceSize > kWorkspaceBytes)
      return false;
    plan.way = *way;
    return true;
  }

  void take_quickest_way(const GemmShape& s,
                         const std::vector<cublasLtMatmulHeuristicResult_t>& found,
                         Operands operands, cudaStream_t stream, Plan& plan) {
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    require(cudaStreamIsCapturing(stream, &capture), "the state of a stream");
    if (capture != cudaStreamCaptureStatusNone) return;
    // A sum must not be added twice: it goes to a place of its own.
    void* scratch = nullptr;
    if (s.adds) {
      const std::int64_t bytes = bytes_of(s.out, s.rows * s.out_stride);
      if (cudaMalloc(&scratch, static_cast<std::size_t>(bytes)) != cudaSuccess) {
        cudaGetLastError();  // no room: no measuring
        return;
      }
      operands.out = scratch;
    }
    std::vector<float> best(found.size(), std::numeric_limits<float>::infinity());
    for (int round = 0; round < kRounds; ++round)
      for (std::size_t i = 0; i < found.size(); ++i) {
        require(cudaEventRecord(marks_[0], stream), "recording an event");
        if (!run(plan, found[i].algo, s, operands, stream)) continue;
        require(cudaEventRecord(marks_[1], stream), "recording an event");
        require(cudaEventSynchronize(marks_[1]), "work on the GPU");
        float milliseconds = 0;
        require(cudaEventElapsedTime(&milliseconds, marks_[0], marks_[1]), "the time of an event");
        if (round > 0) best[i] = std::min(best[i], milliseconds);
      }
    if (scratch) cudaFree(scratch);
    const auto quickest = std::min_element(best.begin(), best.end());
    if (*quickest < best.front() * (1 - kWorthwhile))
      plan.way = found[static_cast<std::size_t>(quickest - best.begin())].algo;
    choices_->keep(name_of(s), to_text(plan.way));
  }

  std::unique_ptr<SharedLibrary> library_;  // whose functions these are
  BlasApi blas_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::optional<ChoiceFile> choices_;
  cudaEvent_t marks_[2] = {};
  std::map<GemmShape, std::optional<Plan>> plans_;
};

}  // namespace

std::unique_ptr<BlasLt> BlasLt::load(std::string& why_not) {
  const char* const choices = std::getenv("MILLRACE_PRODUCT_CHOICES");
  std::unique_ptr<SharedLibrary> library = open_library();
  if (!library) {
    why_not = "libcublasLt is not installed: large products use our own kernels";
    return nullptr;
  }
  BlasApi blas;
  blas.bind_all(*library);
  if (!library->missing().empty()) {
    why_not = "libcublasLt lacks a function that is needed";
    return nullptr;
  }
  auto loaded = std::make_unique<LoadedBlasLt>(std::move(library), blas, choices ? choices : "");
  if (loaded->usable()) return loaded;
  why_not = "cuBLASLt could not be started on this GPU";
  return nullptr;
}

}  // namespace millrace::cuda
