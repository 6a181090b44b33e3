#include "tests/unit/hub/fake_hub.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <random>

#include "base/json.h"
#include "hub/text.h"

namespace millrace::hub::test {
namespace {

namespace fs = std::filesystem;

std::string digest(const EVP_MD* kind, const std::string& bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &length, kind, nullptr);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", out[i]);
  return hex;
}

Reply error_reply(int status, const std::string& code) {
  return {.status = status, .headers = {{"X-Error-Code", code}}, .body = "no"};
}

}  // namespace

std::string sha256(const std::string& content) {
  return digest(EVP_sha256(), content);
}

std::string git_blob(const std::string& content) {
  return digest(EVP_sha1(),
                "blob " + std::to_string(content.size()) + std::string(1, '\0') + content);
}

std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

TempFolder::TempFolder() {
  std::string name = (fs::temp_directory_path() / "millrace-hub-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

FakeHub::FakeHub() {
  // A proxy of the machine must not stand between the tests and their own server.
  ::setenv("no_proxy", "127.0.0.1", 1);
  server_ = std::make_unique<HttpServer>([this](const Request& r) { return handle(r); });
}

void FakeHub::add(const std::string& path, std::string content, bool lfs) {
  const std::string etag = lfs ? sha256(content) : git_blob(content);
  const std::lock_guard lock(mutex_);
  files_[path] = {std::move(content), etag, lfs};
}

void FakeHub::add_model(std::size_t weight_bytes) {
  add("config.json", R"({"model_type": "lfm2"})");
  add("tokenizer.json", R"({"model": {}})");
  add("README.md", "# not needed");
  add("onnx/model.onnx", "not needed", true);
  add("model.safetensors", noise(weight_bytes), true);
}

void FakeHub::fault(const std::string& path, Fault fault, int times) {
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < times; ++i) faults_[path].push_back(fault);
}

void FakeHub::answer(const std::string& target_prefix, Reply reply, int times) {
  const std::lock_guard lock(mutex_);
  answers_[target_prefix] = {std::move(reply), times};
}

void FakeHub::clear_faults() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}

void FakeHub::use_storage_host() {
  const std::lock_guard lock(mutex_);
  storage_ = std::make_unique<HttpServer>([this](const Request& r) { return handle_storage(r); });
}

void FakeHub::expire_storage_once() {
  const std::lock_guard lock(mutex_);
  expire_storage_ = true;
}

void FakeHub::remove_tree_api() {
  const std::lock_guard lock(mutex_);
  tree_api_ = false;
}

void FakeHub::set_tree(std::string json) {
  const std::lock_guard lock(mutex_);
  tree_override_ = std::move(json);
}

HubOptions FakeHub::options(const fs::path& cache) const {
  HubOptions options;
  options.endpoint = server_->url();
  options.cache = cache;
  options.connect_timeout = std::chrono::milliseconds(2000);
  options.stall_timeout = std::chrono::milliseconds(500);
  options.retry = {.attempts = 4,
                   .first_delay = std::chrono::milliseconds(1),
                   .longest_delay = std::chrono::milliseconds(5)};
  return options;
}

std::string FakeHub::revision_json() const {
  Json siblings = Json::array();
  for (const auto& [path, file] : files_) siblings.push_back(Json{{"rfilename", path}});
  return Json{{"sha", kCommit}, {"siblings", siblings}}.dump();
}

std::string FakeHub::tree_json() const {
  if (!tree_override_.empty()) return tree_override_;
  Json tree = Json::array();
  tree.push_back(Json{{"type", "directory"}, {"oid", std::string(40, 'a')}, {"path", "onnx"}});
  for (const auto& [path, file] : files_) {
    Json entry{{"type", "file"}, {"oid", file.etag}, {"size", file.content.size()}, {"path", path}};
    if (file.lfs) {
      entry["oid"] = std::string(40, 'b');
      entry["lfs"] = Json{{"oid", file.etag}, {"size", file.content.size()}, {"pointerSize", 134}};
    }
    tree.push_back(entry);
  }
  return tree.dump();
}

Reply FakeHub::content_reply(const Request& request, const std::string& path) {
  const File& file = files_.at(path);
  Reply reply{.headers = {{"ETag", '"' + file.etag + '"'}}, .body = file.content};
  const std::string range = request.header("range");
  if (!range.empty()) {
    std::size_t first = 0;
    std::size_t last = 0;
    if (std::sscanf(range.c_str(), "bytes=%zu-%zu", &first, &last) != 2 ||
        last >= file.content.size())
      return error_reply(416, "");
    reply.status = 206;
    reply.body = file.content.substr(first, last - first + 1);
    reply.headers.push_back(
        {"Content-Range", fmt::format("bytes {}-{}/{}", first, last, file.content.size())});
  }
  auto& faults = faults_[path];
  if (!faults.empty() && request.method == "GET") {
    const Fault fault = std::move(faults.front());
    faults.pop_front();
    fault(request, reply);
  }
  return reply;
}

Reply FakeHub::handle(const Request& request) {
  const std::lock_guard lock(mutex_);
  for (auto& [prefix, answer] : answers_)
    if (request.target.starts_with(prefix) && answer.second > 0) {
      --answer.second;
      return answer.first;
    }
  const std::string api = std::string("/api/models/") + kRepo;
  if (request.target == api + "/revision/main" || request.target == api + "/revision/refs%2Fpr%2F1")
    return {.body = revision_json()};
  if (request.target.starts_with(api + "/revision/")) return error_reply(404, "RevisionNotFound");
  if (request.target.starts_with(api + "/tree/" + kCommit))
    return tree_api_ ? Reply{.body = tree_json()} : error_reply(404, "");
  const std::string resolve = fmt::format("/{}/resolve/{}/", kRepo, kCommit);
  if (!request.target.starts_with(resolve)) return error_reply(404, "RepoNotFound");
  const std::string path = request.target.substr(resolve.size());
  const auto found = files_.find(path);
  if (found == files_.end()) return error_reply(404, "EntryNotFound");
  if (!found->second.lfs || storage_ == nullptr) {
    Reply reply = content_reply(request, path);
    // In front: a fault's header of this name, coming later, counts.
    reply.headers.insert(reply.headers.begin(), {"X-Repo-Commit", kCommit});
    return reply;
  }
  return {.status = 302,
          .headers = {{"Location", storage_->url() + "/" + path + "?signature=secret"},
                      {"X-Repo-Commit", kCommit},
                      {"X-Linked-Etag", '"' + found->second.etag + '"'},
                      {"X-Linked-Size", std::to_string(found->second.content.size())}}};
}

Reply FakeHub::handle_storage(const Request& request) {
  const std::lock_guard lock(mutex_);
  if (++storage_requests_ == 2 && expire_storage_) return error_reply(403, "");
  return content_reply(request, request.target.substr(1, request.target.find('?') - 1));
}

}  // namespace millrace::hub::test
