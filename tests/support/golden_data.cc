#include "tests/support/golden_data.h"

#include <cstdlib>

#include "base/check.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "tensor/decode_row.h"

namespace millrace::testing {

std::string repository_path(const std::string& name) {
  const char* root = std::getenv("MILLRACE_TEST_ROOT");
  return std::string(root != nullptr ? root : MILLRACE_SOURCE_DIR) + "/" + name;
}

std::string data_path(const std::string& name) {
  return repository_path("tests/data/" + name);
}

Golden load_golden(const std::string& variant) {
  Golden golden;
  golden.folder = data_path("golden/" + variant);
  const Json json = value_or_die(read_json_file(golden.folder + "/golden.json"));
  for (const Json& prompt : json.at("prompts"))
    golden.prompts.push_back({prompt.at("name").get<std::string>(),
                              prompt.at("ids").get<std::vector<std::int32_t>>(),
                              prompt.at("greedy").get<std::vector<std::int32_t>>()});
  golden.tensors = value_or_die(open_safetensors(golden.folder + "/golden.safetensors"));
  return golden;
}

const GoldenPrompt& Golden::prompt(const std::string& name) const {
  for (const GoldenPrompt& prompt : prompts)
    if (prompt.name == name) return prompt;
  check(false, "no such golden prompt");
  return prompts.front();
}

std::vector<float> Golden::floats(const std::string& name) const {
  const TensorView* view = tensors->find(name);
  check(view != nullptr, "no such golden tensor");
  std::vector<float> values(static_cast<std::size_t>(view->shape.elements()));
  decode_row(view->dtype, view->data, view->shape.elements(), values.data());
  return values;
}

std::vector<std::int32_t> Golden::ints(const std::string& name) const {
  const TensorView* view = tensors->find(name);
  check(view != nullptr && view->dtype == DType::I32, "no such golden tensor of integers");
  const auto* data = view->as<std::int32_t>();
  return {data, data + view->shape.elements()};
}

}  // namespace millrace::testing
