#include "device/cpu/cpu_features.h"

#include <array>
#include <fstream>
#include <string_view>
#include <utility>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace millrace {
namespace {

std::string cpu_model_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name") && !line.starts_with("CPU part")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

#if defined(__x86_64__)
// AMX's registers are large, so that Linux saves them for programs alone that have asked (5.16 and
// later); threads of this one, there already or not, then have it too.
bool may_use_amx() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

}  // namespace

CpuFeatures detect_cpu_features() {
  CpuFeatures features;
  features.model = cpu_model_name();
#if defined(__x86_64__)
  // __builtin_cpu_supports asks CPUID and XGETBV both.
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi2");
  features.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  features.avx512_bf16 = features.avx512 && __builtin_cpu_supports("avx512bf16");
  features.avx512_bf16_is_fast = features.avx512_bf16 && !__builtin_cpu_is("intel");
  features.avx512_vnni = features.avx512 && __builtin_cpu_supports("avx512vnni");
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    const bool has_tiles = (d >> 24) & 1u;
    if (has_tiles && may_use_amx()) {
      features.amx_bf16 = (d >> 22) & 1u;
      features.amx_int8 = (d >> 25) & 1u;
    }
  }
  // F16C has no name in older compilers' lists: CPUID leaf 1, ECX bit 29.
  if (__get_cpuid(1, &a, &b, &c, &d)) features.avx2 = features.avx2 && ((c >> 29) & 1u);
#elif defined(__aarch64__)
  features.neon = true;
  features.neon_dot = ::getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
  features.neon_bf16 = ::getauxval(AT_HWCAP2) & HWCAP2_BF16;
#endif
  return features;
}

std::string to_string(const CpuFeatures& features) {
  const std::array<std::pair<bool, std::string_view>, 9> names = {{
      {features.avx2, "avx2"},
      {features.avx512, "avx512"},
      {features.avx512_bf16, "avx512_bf16"},
      {features.avx512_vnni, "avx512_vnni"},
      {features.amx_bf16, "amx_bf16"},
      {features.amx_int8, "amx_int8"},
      {features.neon, "neon"},
      {features.neon_dot, "neon_dot"},
      {features.neon_bf16, "neon_bf16"},
  }};
  std::string out;
  for (const auto& [has, name] : names)
    if (has) out += (out.empty() ? "" : " ") + std::string(name);
  return out.empty() ? "baseline" : out;
}

}  // namespace millrace
