// A hub with one repository, and faults by script.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "hub/hub.h"
#include "tests/unit/hub/http_server.h"

namespace millrace::hub::test {

inline constexpr const char* kRepo = "org/model";
inline const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

// Changes the good reply to a request for a file's content. Called under the hub's lock.
using Fault = std::function<void(const Request&, Reply&)>;

class FakeHub {
 public:
  FakeHub();

  // Large files are LFS: known by SHA-256, and redirected to the storage host if there is one.
  void add(const std::string& path, std::string content, bool lfs = false);
  // The files of a small complete model; its weights hold `weight_bytes`.
  void add_model(std::size_t weight_bytes);

  // The next requests for the file's content get these faults, one each, in order.
  void fault(const std::string& path, Fault fault, int times = 1);
  void clear_faults();
  // Every request for a path that begins so is answered by this alone.
  void answer(const std::string& target_prefix, Reply reply, int times = 1 << 30);
  // Sends LFS content from a second server, as signed addresses of another origin.
  void use_storage_host();
  // The storage host refuses its second request, as if the signature had expired.
  void expire_storage_once();
  void remove_tree_api();
  void set_tree(std::string json);

  HttpServer& server() { return *server_; }
  HttpServer& storage() { return *storage_; }
  const std::string& content(const std::string& path) const { return files_.at(path).content; }
  const std::string& etag(const std::string& path) const { return files_.at(path).etag; }
  // Options for this hub with short delays and timeouts.
  HubOptions options(const std::filesystem::path& cache) const;

 private:
  struct File {
    std::string content;
    std::string etag;
    bool lfs = false;
  };

  Reply handle(const Request& request);
  Reply handle_storage(const Request& request);
  Reply content_reply(const Request& request, const std::string& path);
  std::string revision_json() const;
  std::string tree_json() const;

  mutable std::mutex mutex_;
  std::map<std::string, File> files_;
  std::map<std::string, std::deque<Fault>> faults_;
  std::map<std::string, std::pair<Reply, int>> answers_;
  std::string tree_override_;
  bool tree_api_ = true;
  bool expire_storage_ = false;
  int storage_requests_ = 0;
  std::unique_ptr<HttpServer> storage_;
  std::unique_ptr<HttpServer> server_;  // last: its threads use the rest
};

// Bytes that differ everywhere, so that a misplaced range is found.
std::string noise(std::size_t bytes, unsigned seed = 1);
std::string sha256(const std::string& content);
std::string git_blob(const std::string& content);

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& content);

// A folder that is removed at the end.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace millrace::hub::test
