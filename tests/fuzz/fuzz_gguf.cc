// Any bytes as a GGUF file: refused with a message, or every key and every tensor's bytes can be
// read.
#include <cstdint>
#include <cstdlib>

#include "checkpoint/gguf_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto header = millrace::parse_gguf(bytes, "input");
  if (!header) {
    if (header.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  const millrace::GgufMetadata& metadata = header->metadata;
  for (const auto& [key, value] : metadata.values()) {
    // Each value is of one kind; the getters of the others must refuse it, not misread it.
    const int kinds = metadata.number(key).has_value() + metadata.boolean(key).has_value() +
                      metadata.string(key).has_value() + metadata.numbers(key).has_value() +
                      metadata.strings(key).has_value();
    if (kinds > 1) std::abort();
    static_cast<void>(metadata.integer(key, -5, 5));
    static_cast<void>(metadata.integers(key, -5, 5));
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
