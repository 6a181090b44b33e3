#include "cache/cache_storage.h"

#include "base/check.h"

namespace millrace {

std::int64_t CacheGeometry::kv_bytes_per_token() const {
  return bytes_of(kv_dtype, std::int64_t{2} * attention_layers * kv_heads * head_dim);
}

std::int64_t CacheGeometry::conv_bytes_per_sequence() const {
  return std::int64_t{conv_layers} * ring() * conv_channels *
         static_cast<std::int64_t>(sizeof(float));
}

CacheStorage::CacheStorage(Device& device, const CacheGeometry& geometry, std::int32_t blocks,
                           std::int32_t slots)
    : device_(&device),
      geometry_(geometry),
      kv_layer_bytes_(bytes_of(geometry.kv_dtype, std::int64_t{blocks} * geometry.kv_heads *
                                                      geometry.block_tokens * geometry.head_dim)),
      conv_layer_floats_(std::int64_t{slots} * geometry.ring() * geometry.conv_channels),
      kv_(device.allocate(
          static_cast<std::size_t>(2 * geometry.attention_layers * kv_layer_bytes_))),
      conv_(device.allocate(static_cast<std::size_t>(geometry.conv_layers * conv_layer_floats_) *
                            sizeof(float))),
      blocks_(blocks),
      slots_(slots) {}

KvView CacheStorage::kv(int layer) const {
  check(layer >= 0 && layer < geometry_.attention_layers, "no such attention layer");
  std::byte* keys = kv_.as<std::byte>() + 2 * layer * kv_layer_bytes_;
  return {keys,
          keys + kv_layer_bytes_,
          geometry_.kv_heads,
          geometry_.head_dim,
          geometry_.block_tokens,
          geometry_.kv_dtype};
}

ConvStateView CacheStorage::conv(int layer) const {
  check(layer >= 0 && layer < geometry_.conv_layers, "no such conv layer");
  return {conv_.as<float>() + layer * conv_layer_floats_, geometry_.ring(),
          geometry_.conv_channels};
}

std::int64_t CacheStorage::kv_block_bytes() const {
  return bytes_of(geometry_.kv_dtype,
                  std::int64_t{geometry_.kv_heads} * geometry_.block_tokens * geometry_.head_dim);
}

std::int64_t CacheStorage::conv_slot_bytes() const {
  return geometry_.ring() * geometry_.conv_channels * static_cast<std::int64_t>(sizeof(float));
}

void CacheStorage::copy_block(std::int32_t from, std::int32_t to, Stream& stream) const {
  const std::int64_t bytes = kv_block_bytes();
  for (int layer = 0; layer < geometry_.attention_layers; ++layer) {
    const KvView view = kv(layer);
    for (void* base : {view.key, view.value})
      device_->copy_within(static_cast<std::byte*>(base) + to * bytes,
                           static_cast<const std::byte*>(base) + from * bytes,
                           static_cast<std::size_t>(bytes), stream);
  }
}

void CacheStorage::poison_freed(Stream& stream) {
  kv_poison_.assign(static_cast<std::size_t>(kv_block_bytes()), poison_of(geometry_.kv_dtype));
  conv_poison_.assign(static_cast<std::size_t>(conv_slot_bytes()), kPoison);
  blocks_.on_free([this, &stream](std::int32_t id) {
    const std::int64_t bytes = kv_block_bytes();
    for (int layer = 0; layer < geometry_.attention_layers; ++layer)
      for (void* base : {kv(layer).key, kv(layer).value})
        device_->copy_in(static_cast<std::byte*>(base) + id * bytes, kv_poison_.data(),
                         static_cast<std::size_t>(bytes), stream);
  });
  slots_.on_free([this, &stream](std::int32_t id) {
    const std::int64_t bytes = conv_slot_bytes();
    for (int layer = 0; layer < geometry_.conv_layers; ++layer)
      device_->copy_in(reinterpret_cast<std::byte*>(conv(layer).columns) + id * bytes,
                       conv_poison_.data(), static_cast<std::size_t>(bytes), stream);
  });
}

}  // namespace millrace
