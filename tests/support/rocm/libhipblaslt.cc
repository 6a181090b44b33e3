// A hipBLASLt that computes on the host, at once, exactly what it is told: column-major matrices,
// BF16 factors, A transposed. It refuses products of which it is told otherwise, and any of 13
// rows.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "device/hip/hip_blas_lt.h"
#include "tensor/half.h"

using millrace::hip::BlasApi;

namespace {

constexpr int kRefused = 7;
int g_alive = 0;

struct Layout {
  int type;
  std::uint64_t rows, columns;
  std::int64_t stride;
};
struct Product {
  std::int32_t transposed = 111;  // not
};
struct Preference {
  std::uint64_t workspace = 0;
};

template <typename T>
int drop(void* object) {
  delete static_cast<T*>(object);
  --g_alive;
  return 0;
}
template <typename T>
int make(void** to, T value) {
  *to = new T(value);
  ++g_alive;
  return 0;
}

float bf16_at(const void* data, std::uint64_t i) {
  return millrace::to_float(static_cast<const millrace::BF16*>(data)[i]);
}

}  // namespace

extern "C" {
int millrace_double_alive() {
  return g_alive;
}

int hipblasLtCreate(void** handle) {
  if (std::getenv("MILLRACE_DOUBLE_BROKEN") != nullptr) return kRefused;
  return make(handle, 1);
}
int hipblasLtDestroy(void* handle) {
  return drop<int>(handle);
}
int hipblasLtMatmulDescCreate(void** product, int compute, int scale) {
  if (compute != BlasApi::kCompute32F || scale != BlasApi::kF32) return kRefused;
  return make(product, Product());
}
int hipblasLtMatmulDescDestroy(void* product) {
  return drop<Product>(product);
}
int hipblasLtMatmulDescSetAttribute(void* product, int attribute, const void* value,
                                    std::size_t bytes) {
  if (attribute != BlasApi::kTransposeA || bytes != sizeof(std::int32_t)) return kRefused;
  std::memcpy(&static_cast<Product*>(product)->transposed, value, bytes);
  return 0;
}
int hipblasLtMatrixLayoutCreate(void** layout, int type, std::uint64_t rows, std::uint64_t columns,
                                std::int64_t stride) {
  return make(layout, Layout{type, rows, columns, stride});
}
int hipblasLtMatrixLayoutDestroy(void* layout) {
  return drop<Layout>(layout);
}
int hipblasLtMatmulPreferenceCreate(void** preference) {
  return make(preference, Preference());
}
int hipblasLtMatmulPreferenceDestroy(void* preference) {
  return drop<Preference>(preference);
}
int hipblasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value,
                                          std::size_t bytes) {
  if (attribute != BlasApi::kMostWorkspace || bytes != sizeof(std::uint64_t)) return kRefused;
  std::memcpy(&static_cast<Preference*>(preference)->workspace, value, bytes);
  return 0;
}
int hipblasLtMatmulAlgoGetHeuristic(void*, void* product, void* a, void* b, void* c, void* d,
                                    void* preference, int most, BlasApi::Heuristic* found,
                                    int* count) {
  const auto& left = *static_cast<Layout*>(a);
  const auto& right = *static_cast<Layout*>(b);
  const auto& out = *static_cast<Layout*>(d);
  const bool fits = static_cast<Product*>(product)->transposed == BlasApi::kTransposed && c == d &&
                    left.type == BlasApi::kBf16 && right.type == BlasApi::kBf16 &&
                    left.rows == right.rows && out.rows == left.columns &&
                    out.columns == right.columns && most > 0 && right.columns != 13 &&
                    static_cast<Preference*>(preference)->workspace > 0;
  *count = fits ? 1 : 0;
  found->algorithm.data[3] = 42;
  found->state = 0;
  return 0;
}
int hipblasLtMatmul(void*, void*, const void* alpha, const void* a, void* a_layout, const void* b,
                    void* b_layout, const void* beta, const void* c, void* c_layout, void* d,
                    void* d_layout, const BlasApi::Algorithm* algorithm, void* workspace,
                    std::size_t, void* stream) {
  if (algorithm->data[3] != 42 || workspace == nullptr || stream == nullptr || c != d ||
      c_layout != d_layout)
    return kRefused;
  const auto& left = *static_cast<Layout*>(a_layout);
  const auto& right = *static_cast<Layout*>(b_layout);
  const auto& out = *static_cast<Layout*>(d_layout);
  const auto as = static_cast<std::uint64_t>(left.stride);
  const auto bs = static_cast<std::uint64_t>(right.stride);
  const auto ds = static_cast<std::uint64_t>(out.stride);
  for (std::uint64_t column = 0; column < out.columns; ++column)
    for (std::uint64_t row = 0; row < out.rows; ++row) {
      float sum = 0;
      for (std::uint64_t k = 0; k < left.rows; ++k)
        sum += bf16_at(a, row * as + k) * bf16_at(b, column * bs + k);
      const std::uint64_t at = column * ds + row;
      sum *= *static_cast<const float*>(alpha);
      if (out.type == BlasApi::kBf16) {
        auto* to = static_cast<millrace::BF16*>(d) + at;
        *to = millrace::to_bf16(sum + *static_cast<const float*>(beta) * millrace::to_float(*to));
      } else {
        auto* to = static_cast<float*>(d) + at;
        *to = sum + *static_cast<const float*>(beta) * *to;
      }
    }
  return 0;
}
}
