#include "hub/hub.h"

#include <algorithm>

#include "base/json.h"
#include "hub/cache_layout.h"
#include "hub/download.h"
#include "hub/repo_api.h"
#include "hub/select.h"
#include "hub/text.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestIndex = 64u << 20;

// Before anything is sent: what came from the environment.
Status check_options(const HubOptions& hub) {
  if (hub.cache.empty())
    return fail(ErrorCode::InvalidArgument,
                "no folder for downloads: set HF_HOME, HF_HUB_CACHE or HOME");
  if (!hub::origin_of(hub.endpoint))
    return fail(ErrorCode::InvalidArgument, "HF_ENDPOINT: found '{}', expected an http(s) address",
                hub::printable(hub.endpoint));
  const bool good =
      std::all_of(hub.token.begin(), hub.token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!good)
    return fail(ErrorCode::InvalidArgument,
                "the hub token has a character that no token has (spaces, line ends, non-ASCII)");
  return {};
}

fs::path result_path(const hub::RepoCache& cache, const std::string& commit,
                     const hub::Selection& selection) {
  const fs::path folder = cache.snapshot(commit);
  return selection.gguf.empty() ? folder : folder / selection.gguf;
}

// Whether the folder's weights are complete: one file, or every shard that the index names.
bool has_weights(const fs::path& folder, const std::vector<RemoteFile>& files) {
  const auto has = [&](const std::string& path) {
    return std::any_of(files.begin(), files.end(),
                       [&](const RemoteFile& file) { return file.path == path; });
  };
  if (has("model.safetensors")) return true;
  const std::string index_name = "model.safetensors.index.json";
  if (!has(index_name)) return false;
  const auto index = read_json_file((folder / index_name).string(), kLargestIndex);
  if (!index || !index->is_object()) return false;
  const Json* map = json_find(*index, "weight_map");
  return map != nullptr && map->is_object() && !map->empty() &&
         std::all_of(map->begin(), map->end(), [&](const Json& shard) {
           return shard.is_string() && has(shard.get_ref<const std::string&>());
         });
}

Result<fs::path> from_cache(const ModelRef& ref, const HubOptions& hub,
                            const hub::Filters& filters) {
  const auto missing = [&](std::string_view what) {
    return fail(ErrorCode::NotFound, "{}: {} in the cache {}", ref.text(), what,
                hub.cache.string());
  };
  const hub::RepoCache cache(hub.cache, ref.repo);
  const auto commit = cache.commit_of(ref.revision);
  if (!commit) return missing("no such revision");
  const std::vector<RemoteFile> files = cache.snapshot_files(*commit);
  const hub::Selection selection = MILLRACE_TRY(hub::select_files(files, ref, filters));
  if (ref.quant.empty() && filters.include.empty() && filters.exclude.empty()) {
    const bool tokenizer = std::any_of(files.begin(), files.end(), [](const RemoteFile& file) {
      return file.path == "tokenizer.json";
    });
    if (!tokenizer || !has_weights(cache.snapshot(*commit), files)) return missing("not complete");
  }
  return result_path(cache, *commit, selection);
}

struct Plan {
  std::string commit;
  hub::Selection selection;
};

// What the hub has of it, with sizes and digests.
Result<Plan> plan_pull(const ModelRef& ref, const HubOptions& hub, const PullOptions& options,
                       const hub::Stop& stop) {
  hub::Connection connection(hub, stop);
  const hub::RepoListing listing = MILLRACE_TRY(hub::list_repo(connection, hub, ref, stop));
  hub::Selection selection =
      MILLRACE_TRY(hub::select_files(listing.files, ref, {options.include, options.exclude}));
  Plan plan{listing.commit, std::move(selection)};
  MILLRACE_TRY(
      hub::describe_files(connection, hub, ref.repo, plan.commit, plan.selection.files, stop));
  return plan;
}

Result<fs::path> pull_online(const ModelRef& ref, const HubOptions& hub, const PullOptions& options,
                             hub::Stop& stop) {
  Plan plan = MILLRACE_TRY(plan_pull(ref, hub, options, stop));
  std::vector<RemoteFile>& files = plan.selection.files;
  const hub::RepoCache cache(hub.cache, ref.repo);
  MILLRACE_TRY(hub::download_blobs(hub, {options.connections, options.piece_bytes}, ref.repo,
                                   plan.commit, cache, files, stop));
  // Weights last: a folder that has them has the rest.
  std::stable_sort(files.begin(), files.end(),
                   [](const RemoteFile& a, const RemoteFile& b) { return a.size < b.size; });
  for (const RemoteFile& file : files) MILLRACE_TRY(cache.link(plan.commit, file));
  MILLRACE_TRY(cache.write_ref(ref.revision, plan.commit));
  return result_path(cache, plan.commit, plan.selection);
}

}  // namespace

Result<fs::path> pull(const ModelRef& ref, const HubOptions& hub, const PullOptions& options) {
  MILLRACE_TRY(check_options(hub));
  if (options.connections < 1 || options.connections > 64)
    return fail(ErrorCode::InvalidArgument, "connections: found {}, expected 1 to 64",
                options.connections);
  if (options.piece_bytes < 1)
    return fail(ErrorCode::InvalidArgument, "piece_bytes: found 0, expected at least 1");
  if (hub.offline) {
    auto cached = from_cache(ref, hub, {options.include, options.exclude});
    if (cached) return cached;
    return fail(cached.error().code, "{} (HF_HUB_OFFLINE is set)", cached.error().message);
  }
  // A commit never changes: what is complete needs no hub.
  if (is_commit(ref.revision) && options.include.empty() && options.exclude.empty())
    if (auto cached = find_cached(ref, hub)) return *cached;
  hub::Stop stop(options.cancelled);
  auto pulled = pull_online(ref, hub, options, stop);
  if (!pulled && pulled.error().code == ErrorCode::Cancelled)
    return fail(ErrorCode::Cancelled, "{}: stopped; the next pull goes on from here", ref.text());
  return pulled;
}

Result<std::vector<RemoteFile>> list_files(const ModelRef& ref, const HubOptions& hub,
                                           const PullOptions& options) {
  MILLRACE_TRY(check_options(hub));
  if (hub.offline)
    return fail(ErrorCode::Unavailable, "{}: HF_HUB_OFFLINE is set, so the hub is not asked",
                ref.text());
  const hub::Stop stop(options.cancelled);
  Plan plan = MILLRACE_TRY(plan_pull(ref, hub, options, stop));
  return std::move(plan.selection.files);
}

std::optional<fs::path> find_cached(const ModelRef& ref, const HubOptions& hub) {
  if (hub.cache.empty()) return std::nullopt;
  const auto found = from_cache(ref, hub, {});
  return found ? std::optional(*found) : std::nullopt;
}

}  // namespace millrace
