// Writes a planned GGUF file.
#pragma once

#include <atomic>
#include <string>

#include "convert/gguf_plan.h"

namespace millrace {

struct GgufWriteOptions {
  int threads = 0;                               // 0: all cores
  const std::atomic<bool>* cancelled = nullptr;  // looked at every few megabytes
};

// Tensor by tensor, rows spread over threads, with a progress bar; of the model only a few
// megabytes are in memory at a time, beside pages the system may take back. The file appears under
// its name when it is whole. Corrupt where a weight is not finite; its size in bytes otherwise.
Result<std::uint64_t> write_gguf(const GgufPlan& plan, const std::string& path,
                                 const GgufWriteOptions& options = {});

}  // namespace millrace
