// Any bytes as a safetensors file: refused with a message, or every tensor's bytes can be read.
#include <cstdint>
#include <cstdlib>

#include "checkpoint/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto header = millrace::parse_safetensors(bytes, "input");
  if (!header) {
    if (header.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  std::uint64_t total = 0;
  const volatile std::uint8_t* read = data;  // so that the reads happen
  for (const millrace::TensorEntry& entry : header->tensors) {
    total += entry.bytes;
    if (entry.bytes == 0) continue;
    static_cast<void>(read[entry.offset]);
    static_cast<void>(read[entry.offset + entry.bytes - 1]);
  }
  if (total > size) std::abort();  // no two tensors share a byte
  return 0;
}
