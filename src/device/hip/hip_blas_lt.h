// hipBLASLt, loaded at run time where it is installed: large matrix products. Without it they run
// on our own matrix kernels. The program neither links nor ships it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "device/gpu/gemm_shape.h"

namespace millrace::hip {

struct Api;

// The library's functions and numbers that we use; tests/hip/hip_api_check.hip compares them with
// its headers where those are installed.
struct BlasApi {
  using Status = int;  // hipblasStatus_t
  static constexpr Status kSuccess = 0;
  static constexpr int kCompute32F = 2;
  static constexpr int kF32 = 0, kBf16 = 14;  // hipDataType
  static constexpr int kTransposeA = 0;       // hipblasLtMatmulDescAttributes_t
  static constexpr std::int32_t kTransposed = 112;
  static constexpr int kMostWorkspace = 1;  // hipblasLtMatmulPreferenceAttributes_t
  struct Algorithm {
    std::uint8_t data[16];
    std::size_t most_workspace;
  };
  struct Heuristic {
    Algorithm algorithm;
    std::size_t workspace;
    Status state;
    float waves;
    int reserved[4];
  };

  Status (*create)(void** handle);
  Status (*destroy)(void* handle);
  Status (*create_product)(void** product, int compute, int scale);
  Status (*destroy_product)(void* product);
  Status (*set_product)(void* product, int attribute, const void* value, std::size_t bytes);
  Status (*create_layout)(void** layout, int type, std::uint64_t rows, std::uint64_t columns,
                          std::int64_t stride);
  Status (*destroy_layout)(void* layout);
  Status (*create_preference)(void** preference);
  Status (*destroy_preference)(void* preference);
  Status (*set_preference)(void* preference, int attribute, const void* value, std::size_t bytes);
  Status (*find)(void* handle, void* product, void* a, void* b, void* c, void* d, void* preference,
                 int most, Heuristic* found, int* count);
  Status (*multiply)(void* handle, void* product, const void* alpha, const void* a, void* a_layout,
                     const void* b, void* b_layout, const void* beta, const void* c, void* c_layout,
                     void* d, void* d_layout, const Algorithm* algorithm, void* workspace,
                     std::size_t workspace_bytes, void* stream);
};

class BlasLt {
 public:
  // Null, with the reason, where the library cannot be loaded or started. `api` allocates its
  // workspace, on the current GPU.
  static std::unique_ptr<BlasLt> load(std::shared_ptr<const Api> api, std::string& why_not);
  virtual ~BlasLt() = default;

  // Queues the product; false where the library has no way to do it. The way is looked up at the
  // first call for a shape. Never allocates device memory after load().
  virtual bool multiply(const GemmShape& shape, const void* in, const void* weight, void* out,
                        void* stream) = 0;
};

}  // namespace millrace::hip
