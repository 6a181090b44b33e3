// The word both halves of the text room and everything above it share.
#pragma once

#include <cstdint>

namespace millrace {

// A token's id: the row of the embedding. Ids of files are below 2^22; negative ids are nobody's.
using TokenId = std::int32_t;

}  // namespace millrace
