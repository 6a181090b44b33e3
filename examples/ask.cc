// Asks a model one question and streams the answer. usage: ask MODEL QUESTION
#include <cstdio>

#include "engine/engine.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL QUESTION\n", argv[0]);
    return 2;
  }
  auto engine = millrace::Engine::open({.model = argv[1]});
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().message.c_str());
    return 1;
  }
  auto prompt = (*engine)->chat_prompt(argv[2]);
  if (!prompt) {
    std::fprintf(stderr, "%s\n", prompt.error().message.c_str());
    return 1;
  }
  millrace::Request request;
  request.prompt = std::move(*prompt);
  request.max_tokens = 200;
  auto answer = (*engine)->submit(std::move(request), [](const millrace::TokenEvent& event) {
    std::fputs(event.text.c_str(), stdout);
    std::fflush(stdout);
  });
  if (!answer) {
    std::fprintf(stderr, "%s\n", answer.error().message.c_str());
    return 1;
  }
  const millrace::Usage& usage = answer->wait().usage;
  std::printf("\n%ld tokens in %.2f s\n", static_cast<long>(usage.completion_tokens),
              usage.total_seconds);
}
