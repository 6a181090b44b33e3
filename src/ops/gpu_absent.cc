// Stands for the GPU kernels of a backend that this build lacks: MILLRACE_GPU names it.
#include "base/check.h"
#include "ops/attention/attention_kernels.h"
#include "ops/bring_inputs/bring_inputs_kernels.h"
#include "ops/decode_step/decode_step_kernels.h"
#include "ops/embedding/embedding_kernels.h"
#include "ops/gather_rows/gather_rows_kernels.h"
#include "ops/linear/linear_kernels.h"
#include "ops/linear_norm/linear_norm_kernels.h"
#include "ops/machine_ceilings_kernels.h"
#include "ops/moe_experts/moe_experts_kernels.h"
#include "ops/moe_route/moe_route_kernels.h"
#include "ops/norm_linear/norm_linear_kernels.h"
#include "ops/norm_short_conv/norm_short_conv_kernels.h"
#include "ops/norm_swiglu/norm_swiglu_kernels.h"
#include "ops/rms_norm/rms_norm_kernels.h"
#include "ops/rope_kv/rope_kv_kernels.h"
#include "ops/sample/sample_kernels.h"
#include "ops/short_conv/short_conv_kernels.h"
#include "ops/silu_mul/silu_mul_kernels.h"

namespace millrace::MILLRACE_GPU {

std::span<const KernelSpec<BringInputs>> bring_inputs_kernels() {
  return {};
}
std::span<const KernelSpec<Embedding>> embedding_kernels() {
  return {};
}
std::span<const KernelSpec<GatherRows>> gather_rows_kernels() {
  return {};
}
std::span<const KernelSpec<RmsNorm>> rms_norm_kernels() {
  return {};
}
std::span<const KernelSpec<Linear>> linear_kernels() {
  return {};
}
std::span<const KernelSpec<ShortConv>> short_conv_kernels() {
  return {};
}
std::span<const KernelSpec<RopeKv>> rope_kv_kernels() {
  return {};
}
std::span<const KernelSpec<Attention>> attention_kernels() {
  return {};
}
std::span<const KernelSpec<Attention>> sm90_attention_kernels() {
  return {};
}
std::span<const KernelSpec<SiluMul>> silu_mul_kernels() {
  return {};
}
std::span<const KernelSpec<Sample>> sample_kernels() {
  return {};
}
std::span<const KernelSpec<MoeRoute>> moe_route_kernels() {
  return {};
}
std::span<const KernelSpec<MoeExperts>> moe_experts_kernels() {
  return {};
}
std::span<const KernelSpec<MoeExperts>> moe_experts_hopper_kernels() {
  return {};
}
std::span<const KernelSpec<MoeExperts>> moe_experts_mfma_kernels() {
  return {};
}
std::span<const KernelSpec<NormLinear>> norm_linear_kernels() {
  return {};
}
std::span<const KernelSpec<NormLinear>> norm_linear_hopper_kernels() {
  return {};
}
std::span<const KernelSpec<LinearNorm>> linear_norm_hopper_kernels() {
  return {};
}
std::span<const KernelSpec<NormSwiglu>> norm_swiglu_kernels() {
  return {};
}
std::span<const KernelSpec<NormSwiglu>> norm_swiglu_hopper_kernels() {
  return {};
}
std::span<const KernelSpec<NormShortConv>> norm_short_conv_kernels() {
  return {};
}
std::span<const KernelSpec<DecodeStep>> decode_step_kernels() {
  return {};
}
void run_decode_bound(const DecodeStepLaunch&, Stream&) {
  check(false, "a kernel is launched that this build lacks");
}
void run_decode_pack(const DecodePack&, Stream&) {
  check(false, "weights are packed for a kernel that this build lacks");
}
GpuCeilingKernels gpu_ceiling_kernels() {
  return {};
}

}  // namespace millrace::MILLRACE_GPU
