// POST /v1/embeddings: what a body asks for, and the answer in OpenAI's form.
#pragma once

#include <string>
#include <vector>

#include "api/generation_spec.h"

namespace millrace::server {

struct EmbeddingSpec {
  std::vector<Request> requests;  // one an input
  bool normalised = true;         // to length 1
  bool base64 = false;            // of little-endian floats, instead of numbers
};

ApiResult<EmbeddingSpec> parse_embeddings(const Json& body, const ServedModel& model);

// `embeddings`, each [hidden], in order of the inputs.
Json embeddings_body(const EmbeddingSpec& spec, const std::string& model,
                     std::vector<std::vector<float>> embeddings, std::int64_t prompt_tokens);

}  // namespace millrace::server
