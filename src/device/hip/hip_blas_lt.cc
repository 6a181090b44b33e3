#include "device/hip/hip_blas_lt.h"

#include <cstdlib>
#include <map>
#include <optional>
#include <vector>

#include "device/hip/hip_api.h"
#include "device/shared_library.h"

namespace millrace::hip {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;

void bind_all(SharedLibrary& library, BlasApi& api) {
  library.bind(api.create, "hipblasLtCreate");
  library.bind(api.destroy, "hipblasLtDestroy");
  library.bind(api.create_product, "hipblasLtMatmulDescCreate");
  library.bind(api.destroy_product, "hipblasLtMatmulDescDestroy");
  library.bind(api.set_product, "hipblasLtMatmulDescSetAttribute");
  library.bind(api.create_layout, "hipblasLtMatrixLayoutCreate");
  library.bind(api.destroy_layout, "hipblasLtMatrixLayoutDestroy");
  library.bind(api.create_preference, "hipblasLtMatmulPreferenceCreate");
  library.bind(api.destroy_preference, "hipblasLtMatmulPreferenceDestroy");
  library.bind(api.set_preference, "hipblasLtMatmulPreferenceSetAttribute");
  library.bind(api.find, "hipblasLtMatmulAlgoGetHeuristic");
  library.bind(api.multiply, "hipblasLtMatmul");
}

// The loader's own search path, then where ROCm's packages put it.
std::unique_ptr<SharedLibrary> open_library() {
  std::vector<std::string> names;
  if (const char* root = std::getenv("ROCM_PATH"))
    names.push_back(std::string(root) + "/lib/libhipblaslt.so");
  for (const char* name : {"libhipblaslt.so.1", "libhipblaslt.so.0", "libhipblaslt.so",
                           "/opt/rocm/lib/libhipblaslt.so"})
    names.emplace_back(name);
  return SharedLibrary::open(names);
}

// How a product of one shape is done. Column-major words: out^T [n x rows] = weight^T^T [n x k] *
// in^T [k x rows].
class Plan {
 public:
  // Empty where the library knows no way.
  static std::optional<Plan> make(const BlasApi& api, void* handle, const GemmShape& shape) {
    Plan plan(api);
    if (plan.describe(shape) && plan.find(handle)) return plan;
    return std::nullopt;
  }
  Plan(Plan&& other) noexcept { *this = std::move(other); }
  Plan& operator=(Plan&& other) noexcept {
    std::swap(api_, other.api_);
    std::swap(product_, other.product_);
    std::swap(a_, other.a_);
    std::swap(b_, other.b_);
    std::swap(c_, other.c_);
    std::swap(algorithm_, other.algorithm_);
    return *this;
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    if (product_) api_->destroy_product(product_);
    for (void* layout : {a_, b_, c_})
      if (layout) api_->destroy_layout(layout);
  }

  bool multiply(void* handle, const void* in, const void* weight, void* out, bool adds,
                void* workspace, void* stream) const {
    const float one = 1.0f;
    const float beta = adds ? 1.0f : 0.0f;
    return api_->multiply(handle, product_, &one, weight, a_, in, b_, &beta, out, c_, out, c_,
                          &algorithm_, workspace, kWorkspaceBytes, stream) == BlasApi::kSuccess;
  }

 private:
  explicit Plan(const BlasApi& api) : api_(&api) {}

  static bool fine(BlasApi::Status status) { return status == BlasApi::kSuccess; }

  bool describe(const GemmShape& s) {
    const auto rows = static_cast<std::uint64_t>(s.rows);
    const auto n = static_cast<std::uint64_t>(s.n);
    const auto k = static_cast<std::uint64_t>(s.k);
    const int out = s.out == DType::BF16 ? BlasApi::kBf16 : BlasApi::kF32;
    const std::int32_t transposed = BlasApi::kTransposed;
    return fine(api_->create_product(&product_, BlasApi::kCompute32F, BlasApi::kF32)) &&
           fine(api_->set_product(product_, BlasApi::kTransposeA, &transposed,
                                  sizeof(transposed))) &&
           fine(api_->create_layout(&a_, BlasApi::kBf16, k, n, s.k)) &&
           fine(api_->create_layout(&b_, BlasApi::kBf16, k, rows, s.in_stride)) &&
           fine(api_->create_layout(&c_, out, n, rows, s.out_stride));
  }

  bool find(void* handle) {
    void* preference = nullptr;
    const std::uint64_t most = kWorkspaceBytes;
    BlasApi::Heuristic found = {};
    int count = 0;
    const bool asked =
        fine(api_->create_preference(&preference)) &&
        fine(api_->set_preference(preference, BlasApi::kMostWorkspace, &most, sizeof(most))) &&
        fine(api_->find(handle, product_, a_, b_, c_, c_, preference, 1, &found, &count));
    if (preference) api_->destroy_preference(preference);
    algorithm_ = found.algorithm;
    return asked && count > 0 && fine(found.state);
  }

  const BlasApi* api_ = nullptr;
  void* product_ = nullptr;
  void* a_ = nullptr;
  void* b_ = nullptr;
  void* c_ = nullptr;
  BlasApi::Algorithm algorithm_ = {};
};

class LoadedBlasLt final : public BlasLt {
 public:
  LoadedBlasLt(std::unique_ptr<SharedLibrary> library, const BlasApi& blas,
               std::shared_ptr<const Api> hip)
      : library_(std::move(library)), blas_(blas), hip_(std::move(hip)) {
    if (blas_.create(&handle_) != BlasApi::kSuccess) handle_ = nullptr;
    if (handle_ && hip_->malloc(&workspace_, kWorkspaceBytes) != hip::kSuccess)
      workspace_ = nullptr;
  }
  ~LoadedBlasLt() override {
    plans_.clear();
    if (workspace_) hip_->free(workspace_);
    if (handle_) blas_.destroy(handle_);
  }
  LoadedBlasLt(const LoadedBlasLt&) = delete;
  LoadedBlasLt& operator=(const LoadedBlasLt&) = delete;

  bool usable() const { return handle_ && workspace_; }

  bool multiply(const GemmShape& shape, const void* in, const void* weight, void* out,
                void* stream) override {
    auto known = plans_.find(shape);
    if (known == plans_.end())
      known = plans_.emplace(shape, Plan::make(blas_, handle_, shape)).first;
    return known->second &&
           known->second->multiply(handle_, in, weight, out, shape.adds, workspace_, stream);
  }

 private:
  std::unique_ptr<SharedLibrary> library_;  // whose functions these are
  BlasApi blas_;
  std::shared_ptr<const Api> hip_;
  void* handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<GemmShape, std::optional<Plan>> plans_;
};

}  // namespace

std::unique_ptr<BlasLt> BlasLt::load(std::shared_ptr<const Api> api, std::string& why_not) {
  std::unique_ptr<SharedLibrary> library = open_library();
  if (!library) {
    why_not = "libhipblaslt is not installed: large products use our own kernels";
    return nullptr;
  }
  BlasApi blas = {};
  bind_all(*library, blas);
  if (!library->missing().empty()) {
    why_not = "libhipblaslt lacks a function that is needed: large products use our own kernels";
    return nullptr;
  }
  auto loaded = std::make_unique<LoadedBlasLt>(std::move(library), blas, std::move(api));
  if (loaded->usable()) return loaded;
  why_not = "hipBLASLt could not be started on this GPU: large products use our own kernels";
  return nullptr;
}

}  // namespace millrace::hip
