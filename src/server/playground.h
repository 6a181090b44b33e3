// The playground: one page, its style and its script, from src/server/playground/, in the binary.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "server/exchange.h"

namespace millrace::server {

struct EmbeddedFile {
  std::string_view name;
  std::string_view content;
};
std::span<const EmbeddedFile> playground_files();  // made by the build

// The page for "/", its parts for their names; nothing for any other path. Replies carry a policy
// under which a browser runs nothing and loads nothing that is not from here.
std::optional<HttpReply> playground_reply(std::string_view path);

}  // namespace millrace::server
