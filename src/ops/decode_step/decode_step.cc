#include "ops/decode_step/decode_step.h"

#include "ops/decode_step/decode_step_kernels.h"

namespace millrace {

std::string to_string(const DecodeStep::Key& key) {
  const DecodeShape& shape = key.shape;
  return fmt::format("{} weight, {} layers of {}, FFN {}, {} of {} heads of {}",
                     to_string(key.weight), shape.attends.size(), shape.hidden, shape.ffn,
                     shape.kv_heads, shape.heads, shape.head_dim);
}

std::span<const KernelSpec<DecodeStep>> kernels_of(DecodeStep) {
  static const std::vector<KernelSpec<DecodeStep>> kAll =
      join_kernels<DecodeStep>({cuda::decode_step_kernels()});
  return kAll;
}

void pack_decode_weights(const DecodePack& pack, Stream& stream) {
  cuda::run_decode_pack(pack, stream);
}

}  // namespace millrace
