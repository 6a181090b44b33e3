// Any bytes as a saved conversation: refused with a message, with the cache as it was, or its
// tokens are in the cache and can be saved again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/json.h"
#include "cache/prefix_tree.h"
#include "device/open_device.h"
#include "engine/session_file.h"

namespace {

using namespace millrace;

constexpr char kConfig[] = R"({"model_type": "lfm2", "vocab_size": 64, "hidden_size": 16,
  "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
  "layer_types": ["conv", "full_attention"], "conv_L_cache": 3, "block_auto_adjust_ff_dim": false,
  "block_ff_dim": 32, "intermediate_size": 32, "max_position_embeddings": 256, "norm_eps": 1e-5,
  "rope_theta": 10000.0, "dtype": "float32"})";
constexpr std::int64_t kContext = 100;
constexpr std::int32_t kBlocks = 8;

// A file in memory.
class File {
 public:
  File() : descriptor_(memfd_create("session", 0)) {
    check(descriptor_ >= 0, "no memory for a file");
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~File() { close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  void write(const std::uint8_t* data, std::size_t size) {
    check(ftruncate(descriptor_, 0) == 0, "a file that cannot be cut");
    check(pwrite(descriptor_, data, size, 0) == static_cast<ssize_t>(size), "a short write");
  }

 private:
  int descriptor_;
  std::string path_;
};

struct Place {
  LoadedModel files;
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<CacheStorage> cache;
  std::unique_ptr<PrefixTree> tree;

  Place() {
    files.path = "a model";
    const Result<Json> json = parse_json(kConfig, "config.json");
    check(json.has_value(), "a config that is no JSON");
    auto config = parse_model_config(*json, "config.json");
    check(config.has_value(), "a config that is refused");
    files.config = std::move(*config);
    auto opened = open_device("cpu", 1);
    check(opened.has_value(), "no CPU");
    device = std::move(*opened);
    stream = device->make_stream();
    cache = std::make_unique<CacheStorage>(*device, files.config.cache_geometry(DType::F32, 0),
                                           kBlocks, 2);
    tree = std::make_unique<PrefixTree>(*cache);
  }
  SessionPlace session() { return {files, *device, *stream, *cache, *tree}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Place place;
  File file;
  file.write(data, size);
  const auto tokens = load_session(file.path(), "", kContext, place.session());
  if (!tokens) {
    const std::string& message = tokens.error().message;
    check(!message.empty() && message.find('\n') == std::string::npos, "not a line of message");
  } else {
    check(!tokens->empty() && std::ssize(*tokens) < kContext, "more tokens than a context");
    const std::string again = "/dev/shm/fuzz-session-" + std::to_string(getpid());
    const auto saved = save_session(again, *tokens, "", place.session());
    check(saved && *saved == std::ssize(*tokens), "what was loaded is not in the cache");
    place.tree->clear();
    check(load_session(again, "", kContext, place.session()) == *tokens,
          "it is not what was saved");
    unlink(again.c_str());
  }
  place.tree->clear();
  check(place.cache->blocks().free_count() == kBlocks && place.cache->slots().free_count() == 2,
        "a session that is gone left something behind");
  return 0;
}
