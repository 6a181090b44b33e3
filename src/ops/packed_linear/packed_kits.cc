#include "ops/packed_linear/packed_kits.h"

#include "ops/isa.h"

namespace millrace {
namespace {

// Unused on processors without kits.
[[maybe_unused]] std::string first_of(const std::string& type, const std::string& processor) {
  return type.empty() ? processor : type;
}

// Why weights of this type with such activations are not for a kit.
[[maybe_unused]] std::string rejects_ints(DType weight, DType activation) {
  if (activation != DType::F32) return "it takes F32 activations";
  return is_quantised(weight) ? "" : "for quantised weights alone";
}
[[maybe_unused]] std::string rejects_halves(DType weight, DType activation) {
  if (activation != DType::F32) return "it takes F32 activations";
  return weight == DType::BF16 ? "" : "for BF16 weights alone";
}

}  // namespace

#if defined(__x86_64__)

std::string AmxInt8Kit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_ints(weight, activation),
                  traits.cpu.amx_int8 && traits.cpu.avx512_vnni
                      ? ""
                      : "the processor has no AMX of bytes, or the system does not allow it");
}
std::string AmxBf16Kit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_halves(weight, activation),
                  traits.cpu.amx_bf16 && traits.cpu.avx512_bf16
                      ? ""
                      : "the processor has no AMX of BF16, or the system does not allow it");
}
std::string Avx512VnniKit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_ints(weight, activation),
                  traits.cpu.avx512_vnni ? "" : "the processor has no AVX-512 VNNI");
}
std::string Avx512Bf16Kit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_halves(weight, activation),
                  !traits.cpu.avx512_bf16 ? "the processor has no AVX-512 BF16"
                  : !traits.cpu.avx512_bf16_is_fast
                      ? "the processor multiplies floats faster than BF16"
                      : "");
}
std::string Avx512Kit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_halves(weight, activation), missing_isa(Isa::Avx512, traits));
}
std::string Avx2Kit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_ints(weight, activation), missing_isa(Isa::Avx2, traits));
}

#elif defined(__aarch64__)

std::string NeonDotKit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_ints(weight, activation),
                  traits.cpu.neon_dot ? "" : "the processor has no dot products of bytes");
}
std::string NeonBf16Kit::rejects(DType weight, DType activation, const DeviceTraits& traits) {
  return first_of(rejects_halves(weight, activation),
                  traits.cpu.neon_bf16 ? "" : "the processor has no BF16");
}

#endif

}  // namespace millrace
