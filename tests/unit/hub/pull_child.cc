// Pulls the tests' model in a process of its own. usage: pull_child ENDPOINT CACHE
#include <cstdio>

#include "hub/hub.h"
#include "tests/unit/hub/fake_hub.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  millrace::HubOptions options;
  options.endpoint = argv[1];
  options.cache = argv[2];
  options.stall_timeout = std::chrono::milliseconds(5000);
  const auto pulled = millrace::pull(*millrace::parse_model_ref(millrace::hub::test::kRepo),
                                     options, {.connections = 2, .piece_bytes = 1'000'000});
  if (pulled) return 0;
  std::fprintf(stderr, "%s\n", pulled.error().message.c_str());
  return 1;
}
