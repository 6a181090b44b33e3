#include "api/embeddings.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cmath>

#include "base/json.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostInputs = 2048;  // OpenAI's

std::string base64_of(const std::vector<float>& values) {
  const std::size_t bytes = values.size() * sizeof(float);
  std::string text((bytes + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(values.data()),
                                     static_cast<int>(bytes));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

void normalise(std::vector<float>& values) {
  double squares = 0;
  for (const float x : values) squares += double{x} * double{x};
  if (squares == 0) return;
  const double scale = 1 / std::sqrt(squares);
  for (float& x : values) x = static_cast<float>(double{x} * scale);
}

}  // namespace

ApiResult<EmbeddingSpec> parse_embeddings(const Json& body, const ServedModel& model) {
  BodyReader reader(body);
  EmbeddingSpec spec;
  Request request;
  read_model(reader, model);
  read_placement(reader, request);
  reader.ignore({"user", "metadata"});
  const std::string format = reader.text("encoding_format").value_or("float");
  spec.base64 = format == "base64";
  if (!spec.base64 && format != "float")
    reader.fail("encoding_format", fmt::format("found '{}', expected float or base64", format));
  const std::int64_t hidden = model.files.config.hidden;
  if (const auto dimensions = reader.integer("dimensions", 1, INT32_MAX);
      dimensions && *dimensions != hidden)
    reader.fail("dimensions", fmt::format("found {}; this model's embeddings have {}, all of which "
                                          "matter",
                                          *dimensions, hidden));
  const std::string pooling = reader.text("pooling").value_or("last");
  if (pooling != "last" && pooling != "mean")
    reader.fail("pooling", fmt::format("found '{}', expected last or mean", pooling));
  request.pooling = pooling == "mean" ? Pooling::Mean : Pooling::Last;
  spec.normalised = reader.boolean("normalize").value_or(true);
  const bool special = reader.boolean("add_special_tokens").value_or(true);
  for (Prompt& prompt : read_prompts(reader, "input", kMostInputs, special, model)) {
    spec.requests.push_back(request);
    spec.requests.back().prompt = std::move(prompt.tokens);
  }
  if (auto error = reader.finish()) return api_fail(std::move(*error));
  return spec;
}

Json embeddings_body(const EmbeddingSpec& spec, const std::string& model,
                     std::vector<std::vector<float>> embeddings, std::int64_t prompt_tokens) {
  Json data = Json::array();
  for (std::size_t i = 0; i < embeddings.size(); ++i) {
    std::vector<float>& values = embeddings[i];
    if (spec.normalised) normalise(values);
    data.push_back({{"object", "embedding"},
                    {"index", i},
                    {"embedding", spec.base64 ? Json(base64_of(values)) : Json(values)}});
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", model},
          {"usage", {{"prompt_tokens", prompt_tokens}, {"total_tokens", prompt_tokens}}}};
}

}  // namespace millrace::server
