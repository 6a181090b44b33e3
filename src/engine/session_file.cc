#include "engine/session_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "checkpoint/safetensors.h"

namespace millrace {
namespace {

constexpr std::string_view kHeader = "millrace.session";
constexpr std::string_view kTokens = "millrace.tokens";

// FNV-1a.
class Hash {
 public:
  void add(const void* data, std::size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < bytes; ++i) value_ = (value_ ^ at[i]) * 0x100000001b3;
  }
  void add(std::int64_t number) { add(&number, sizeof(number)); }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

// The header: what the cache looks like, as numbers with names for messages.
struct HeaderField {
  const char* name;
  std::int32_t value;
};
std::vector<HeaderField> header_of(const SessionPlace& place) {
  const CacheGeometry& g = place.cache.geometry();
  const std::uint64_t print = model_fingerprint(place.files);
  return {{"version", 1},
          {"model fingerprint", static_cast<std::int32_t>(print & 0xffffffff)},
          {"model fingerprint", static_cast<std::int32_t>(print >> 32)},
          {"kv dtype", static_cast<std::int32_t>(g.kv_dtype)},
          {"attention layers", g.attention_layers},
          {"kv heads", g.kv_heads},
          {"head dim", g.head_dim},
          {"block tokens", g.block_tokens},
          {"conv layers", g.conv_layers},
          {"conv channels", static_cast<std::int32_t>(g.conv_channels)},
          {"conv taps", g.taps}};
}

std::string kv_name(int layer, bool value) {
  return fmt::format("layer.{}.{}", layer, value ? "value" : "key");
}
std::string conv_name(int layer) {
  return fmt::format("conv.{}", layer);
}

// Where a layer's keys or values of a block are on the device.
std::byte* block_at(const CacheStorage& cache, int layer, bool value, std::int32_t block) {
  const KvView view = cache.kv(layer);
  return static_cast<std::byte*>(value ? view.value : view.key) + block * cache.kv_block_bytes();
}

float* column_at(const CacheStorage& cache, int layer, std::int32_t slot, std::int64_t position) {
  const ConvStateView view = cache.conv(layer);
  return view.columns + (slot * view.ring + position % view.ring) * view.channels;
}

// How keys, or values, of a layer stand in the file. FP8 as words: as a type of a checkpoint it
// comes with scales, and is not read.
struct KvTensor {
  DType dtype;
  Shape shape;
};
KvTensor kv_tensor(const CacheGeometry& g, std::int64_t blocks) {
  if (g.kv_dtype == DType::F8_E4M3)
    return {DType::I32, {blocks, g.kv_heads, g.block_tokens * g.head_dim / 4}};
  return {g.kv_dtype, {blocks, g.kv_heads, g.block_tokens, g.head_dim}};
}

// All of them, whose type is `dtype`: neither infinite nor NaN, which would outlive the session in
// reused memory.
bool are_numbers(const TensorView& tensor, DType dtype) {
  const std::int64_t count = tensor.shape.elements();
  if (dtype == DType::F8_E4M3)  // 0x80 is a NaN to some: see device/gpu/gpu_fp8.h
    return std::all_of(tensor.as<std::uint8_t>(), tensor.as<std::uint8_t>() + tensor.bytes(),
                       [](std::uint8_t bits) { return (bits & 0x7f) != 0x7f && bits != 0x80; });
  if (dtype == DType::BF16)
    return std::all_of(tensor.as<std::uint16_t>(), tensor.as<std::uint16_t>() + count,
                       [](std::uint16_t bits) { return (bits & 0x7f80) != 0x7f80; });
  return std::all_of(tensor.as<std::uint32_t>(), tensor.as<std::uint32_t>() + count,
                     [](std::uint32_t bits) { return (bits & 0x7f800000) != 0x7f800000; });
}

Result<TensorView> expect(const Checkpoint& file, std::string_view name, DType dtype,
                          const Shape& shape) {
  const TensorView tensor = MILLRACE_TRY(file.get(name));
  if (tensor.dtype != dtype || tensor.shape != shape)
    return fail(ErrorCode::Corrupt, "{}: {} is {} {}, expected {} {}", file.origin(), name,
                to_string(tensor.dtype), to_string(tensor.shape), to_string(dtype),
                to_string(shape));
  return tensor;
}

Status check_header(const Checkpoint& file, const SessionPlace& place) {
  const std::vector<HeaderField> fields = header_of(place);
  if (!file.find(kHeader))
    return fail(ErrorCode::Corrupt, "{}: is no session: has no {}", file.origin(), kHeader);
  const TensorView header = MILLRACE_TRY(expect(file, kHeader, DType::I32, {std::ssize(fields)}));
  for (std::size_t i = 0; i < fields.size(); ++i)
    if (header.as<std::int32_t>()[i] != fields[i].value)
      return fail(ErrorCode::InvalidArgument, "{}: {}: found {}, expected {} for {}", file.origin(),
                  fields[i].name, header.as<std::int32_t>()[i], fields[i].value, place.files.path);
  return {};
}

}  // namespace

std::uint64_t model_fingerprint(const LoadedModel& files) {
  Hash hash;
  const ModelConfig& config = files.config;
  hash.add(config.vocab);
  hash.add(config.hidden);
  hash.add(std::ssize(config.layers));
  if (!files.checkpoint) return hash.value();
  for (const NamedTensor& tensor : files.checkpoint->tensors()) {
    hash.add(tensor.name.data(), tensor.name.size());
    hash.add(static_cast<std::int64_t>(tensor.view.dtype));
    const std::int64_t bytes = tensor.view.bytes();
    hash.add(bytes);
    // Eight pieces of each tensor.
    const std::int64_t piece = std::min<std::int64_t>(64, bytes);
    for (std::int64_t i = 0; i < 8; ++i)
      hash.add(tensor.view.as<std::byte>() + (bytes - piece) * i / 7,
               static_cast<std::size_t>(piece));
  }
  return hash.value();
}

Result<std::int64_t> save_session(const std::string& path, std::span<const TokenId> tokens,
                                  const std::string& salt, const SessionPlace& place) {
  const SharedPrefix prefix = place.tree.match(salt, tokens);
  if (prefix.length == 0)
    return fail(ErrorCode::NotFound, "{}: nothing of the conversation is in the cache", path);
  tokens = tokens.first(static_cast<std::size_t>(prefix.length));
  const CacheGeometry& g = place.cache.geometry();
  const std::int64_t blocks = std::ssize(prefix.blocks);
  const std::int64_t block_bytes = place.cache.kv_block_bytes();
  // Of the last block, what lies beyond the end is nobody's business.
  const std::int64_t in_last = prefix.length - (blocks - 1) * g.block_tokens;
  const std::int64_t row_bytes = bytes_of(g.kv_dtype, g.head_dim);

  std::vector<std::vector<std::byte>> memory;
  std::vector<NamedTensor> tensors;
  const auto add = [&](std::string name, DType dtype, Shape shape) -> std::byte* {
    memory.emplace_back(static_cast<std::size_t>(bytes_of(dtype, shape.elements())));
    tensors.push_back({std::move(name), {memory.back().data(), dtype, shape}});
    return memory.back().data();
  };
  const std::vector<HeaderField> fields = header_of(place);
  auto* header =
      reinterpret_cast<std::int32_t*>(add(std::string(kHeader), DType::I32, {std::ssize(fields)}));
  for (const HeaderField& field : fields) *header++ = field.value;
  std::memcpy(add(std::string(kTokens), DType::I32, {prefix.length}), tokens.data(),
              tokens.size_bytes());
  for (int layer = 0; layer < g.attention_layers; ++layer)
    for (const bool value : {false, true}) {
      const KvTensor kv = kv_tensor(g, blocks);
      std::byte* to = add(kv_name(layer, value), kv.dtype, kv.shape);
      for (std::int64_t i = 0; i < blocks; ++i)
        place.device.copy_out(
            to + i * block_bytes,
            block_at(place.cache, layer, value, prefix.blocks[static_cast<std::size_t>(i)].id()),
            static_cast<std::size_t>(block_bytes), place.stream);
      place.device.synchronize(place.stream);
      for (int head = 0; head < g.kv_heads; ++head)
        std::memset(to + (blocks - 1) * block_bytes + (head * g.block_tokens + in_last) * row_bytes,
                    0, static_cast<std::size_t>((g.block_tokens - in_last) * row_bytes));
    }
  if (const ConvState* state = place.tree.conv_state(salt, tokens)) {
    const std::int64_t columns = std::min<std::int64_t>(g.taps - 1, prefix.length);
    for (int layer = 0; layer < g.conv_layers && columns > 0; ++layer) {
      auto* to =
          reinterpret_cast<float*>(add(conv_name(layer), DType::F32, {columns, g.conv_channels}));
      for (std::int64_t i = 0; i < columns; ++i)
        place.device.copy_out(
            to + i * g.conv_channels,
            column_at(place.cache, layer, state->slot.id(), prefix.length - columns + i),
            static_cast<std::size_t>(g.conv_channels) * sizeof(float), place.stream);
    }
    place.device.synchronize(place.stream);
  }
  MILLRACE_TRY(write_safetensors(path, tensors));
  return prefix.length;
}

Result<std::vector<TokenId>> load_session(const std::string& path, const std::string& salt,
                                          std::int64_t context, const SessionPlace& place) {
  const auto file = MILLRACE_TRY(open_safetensors(path));
  MILLRACE_TRY(check_header(*file, place));
  const TensorView ids = MILLRACE_TRY(file->get(kTokens));
  if (ids.dtype != DType::I32 || ids.shape.rank() != 1 || ids.shape[0] < 1)
    return fail(ErrorCode::Corrupt, "{}: {} is {} {}, expected a list of I32", path, kTokens,
                to_string(ids.dtype), to_string(ids.shape));
  const std::int64_t length = ids.shape[0];
  if (length >= context)
    return fail(ErrorCode::TooLarge, "{}: holds {} tokens, the context is {}", path, length,
                context);
  const std::vector<TokenId> tokens(ids.as<TokenId>(), ids.as<TokenId>() + length);
  for (const TokenId token : tokens)
    if (token < 0 || token >= place.files.config.vocab)
      return fail(ErrorCode::Corrupt, "{}: {} holds {}, expected 0 to {}", path, kTokens, token,
                  place.files.config.vocab - 1);

  // Everything is looked at before anything is taken.
  const CacheGeometry& g = place.cache.geometry();
  const std::int64_t blocks = (length + g.block_tokens - 1) / g.block_tokens;
  const std::int64_t columns = std::min<std::int64_t>(g.taps - 1, length);
  std::vector<TensorView> kv, conv;
  const KvTensor wanted = kv_tensor(g, blocks);
  for (int layer = 0; layer < g.attention_layers; ++layer)
    for (const bool value : {false, true})
      kv.push_back(MILLRACE_TRY(expect(*file, kv_name(layer, value), wanted.dtype, wanted.shape)));
  const bool has_state = g.conv_layers > 0 && file->find(conv_name(0));
  for (int layer = 0; layer < g.conv_layers && has_state; ++layer)
    conv.push_back(
        MILLRACE_TRY(expect(*file, conv_name(layer), DType::F32, {columns, g.conv_channels})));
  const auto sound = [](const std::vector<TensorView>& all, DType dtype) {
    return std::all_of(all.begin(), all.end(),
                       [dtype](const TensorView& tensor) { return are_numbers(tensor, dtype); });
  };
  if (!sound(kv, g.kv_dtype) || !sound(conv, DType::F32))
    return fail(ErrorCode::Corrupt, "{}: holds a value that is no number", path);

  if (place.cache.slots().free_count() == 0 && !place.tree.evict_conv_state())
    return fail(ErrorCode::Unavailable, "{}: no place for a conversation while all are in use",
                path);
  auto memory = SequenceMemory::open(place.cache, length);
  check(memory.has_value(), "a slot was free");
  while (place.cache.blocks().free_count() < blocks)
    if (!place.tree.evict_block())
      return fail(ErrorCode::Unavailable, "{}: needs {} blocks of the cache, {} are free", path,
                  blocks, place.cache.blocks().free_count());
  const bool reserved = memory->reserve(length);
  check(reserved, "blocks were counted before they were taken");
  const std::int64_t block_bytes = place.cache.kv_block_bytes();
  for (std::size_t i = 0; i < kv.size(); ++i)
    for (std::int64_t block = 0; block < blocks; ++block)
      place.device.copy_in(block_at(place.cache, static_cast<int>(i / 2), i % 2 == 1,
                                    memory->block_ids()[static_cast<std::size_t>(block)]),
                           kv[i].as<std::byte>() + block * block_bytes,
                           static_cast<std::size_t>(block_bytes), place.stream);
  for (std::size_t layer = 0; layer < conv.size(); ++layer)
    for (std::int64_t i = 0; i < columns; ++i)
      place.device.copy_in(
          column_at(place.cache, static_cast<int>(layer), memory->slot(), length - columns + i),
          conv[layer].as<float>() + i * g.conv_channels,
          static_cast<std::size_t>(g.conv_channels) * sizeof(float), place.stream);
  place.device.synchronize(place.stream);
  memory->restored(length, has_state ? length - columns : 0, has_state ? length : 0);
  place.tree.keep(salt, tokens, std::move(*memory));
  return tokens;
}

}  // namespace millrace
