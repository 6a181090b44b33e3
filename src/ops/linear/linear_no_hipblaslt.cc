// The emulated AMD GPU has no library.
#include "ops/linear/linear_library.h"
#include "ops/linear/linear_mfma.h"

namespace millrace::MILLRACE_GPU {

bool run_linear_library(const LinearParams& p, Stream& stream) {
  return run_linear_mfma(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
