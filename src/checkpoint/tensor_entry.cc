#include "checkpoint/tensor_entry.h"

#include <fmt/format.h>

#include <limits>

namespace millrace {

std::string dims_to_string(std::span<const std::int64_t> dims) {
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

std::optional<std::uint64_t> bytes_of_dims(std::span<const std::int64_t> dims,
                                           std::int64_t block_size, std::int64_t block_bits) {
  std::int64_t elements = 1;  // of the dims above 0
  bool empty = false;
  for (const std::int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(elements, dim, &elements)) return std::nullopt;
  }
  const std::int64_t columns = dims.empty() ? 1 : dims.back();
  if (columns % block_size != 0) return std::nullopt;
  std::int64_t bits = 0;
  if (__builtin_mul_overflow(elements / block_size, block_bits, &bits)) return std::nullopt;
  if (empty) return 0;
  if (bits % 8 != 0) return std::nullopt;
  return static_cast<std::uint64_t>(bits / 8);
}

std::string printable(std::string_view name) {
  constexpr std::size_t kLimit = 120;
  std::string out;
  for (const char c : name.substr(0, kLimit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  if (name.size() > kLimit) out += fmt::format("... ({} bytes)", name.size());
  return out;
}

}  // namespace millrace
