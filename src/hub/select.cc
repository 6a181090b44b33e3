#include "hub/select.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <optional>

#include "hub/text.h"

namespace millrace::hub {
namespace {

// In the repository's own folder alone: subfolders hold other formats of the same weights.
constexpr std::string_view kModelFiles[] = {
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "added_tokens.json",
    "chat_template*.jinja",
    "chat_template.json",
    "processor_config.json",
    "special_tokens_map.json",
    "*.safetensors",
    "preprocessor_config.json",
    "*.safetensors.index.json",
};

bool glob(std::string_view pattern, const std::string& path) {
  std::string text(pattern);
  if (text.ends_with('/')) text += '*';
  return ::fnmatch(text.c_str(), path.c_str(), FNM_NOESCAPE) == 0;
}

// "name-00002-of-00003": the name and the two numbers.
struct Shard {
  std::string stem;
  std::uint64_t index = 1;
  std::uint64_t count = 1;
};

// The path without ".gguf" and without the shard's number.
Shard shard_of(const std::string& path) {
  constexpr std::size_t kSuffix = sizeof("-00001-of-00003") - 1;
  std::string stem = path.substr(0, path.size() - 5);
  if (stem.size() > kSuffix) {
    const std::string_view tail = std::string_view(stem).substr(stem.size() - kSuffix);
    const auto index = parse_unsigned(tail.substr(1, 5));
    const auto count = parse_unsigned(tail.substr(10, 5));
    if (tail[0] == '-' && tail.substr(6, 4) == "-of-" && index && count && *index >= 1 &&
        *index <= *count)
      return {stem.substr(0, stem.size() - kSuffix), *index, *count};
  }
  return {std::move(stem)};
}

bool is_gguf(const std::string& path) {
  return path.size() > 5 && lower(path).ends_with(".gguf");
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 == 0
}

// Whether the quantization stands in the name as a whole word: "Q4_K" is not in "x-Q4_K_M".
bool names_quant(const std::string& stem, const std::string& quant) {
  const std::string name = lower(file_name(stem));
  const std::string word = lower(quant);
  const auto splits = [](char c) { return c == '-' || c == '.'; };
  for (auto at = name.find(word); at != name.npos; at = name.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || splits(name[at - 1]) || name[at - 1] == '_') &&
        (end == name.size() || splits(name[end])))
      return true;
  }
  return false;
}

// The vision tower of a model, in a GGUF of its own.
bool is_projector(const std::string& path) {
  return lower(file_name(path)).find("mmproj") != std::string::npos;
}

std::string names_of(const std::vector<RemoteFile>& files) {
  constexpr std::size_t kMostShown = 12;
  std::string names;
  for (std::size_t i = 0; i < files.size() && i < kMostShown; ++i)
    names += (i == 0 ? "" : ", ") + files[i].path;
  if (files.size() > kMostShown) names += fmt::format(", and {} more", files.size() - kMostShown);
  return names;
}

// The first file of the one GGUF model among `files`; nullopt when they are several models.
Result<std::optional<std::string>> one_gguf(const std::vector<RemoteFile>& files) {
  std::map<std::string, std::vector<std::pair<std::uint64_t, std::string>>> models;
  std::uint64_t count = 1;
  for (const RemoteFile& file : files) {
    const Shard shard = shard_of(file.path);
    models[shard.stem].emplace_back(shard.index, file.path);
    count = shard.count;
  }
  if (models.size() != 1) return std::nullopt;
  auto& shards = models.begin()->second;
  std::sort(shards.begin(), shards.end());
  if (shards.size() != count)
    return fail(ErrorCode::NotFound, "{}: {} of its {} shards are there", shards.front().second,
                shards.size(), count);
  return shards.front().second;
}

Result<Selection> select_quant(std::vector<RemoteFile> ggufs, const ModelRef& ref) {
  std::vector<RemoteFile> models;
  std::copy_if(ggufs.begin(), ggufs.end(), std::back_inserter(models),
               [](const RemoteFile& file) { return !is_projector(file.path); });
  Selection selection;
  std::copy_if(
      models.begin(), models.end(), std::back_inserter(selection.files),
      [&](const RemoteFile& file) { return names_quant(shard_of(file.path).stem, ref.quant); });
  if (selection.files.empty())
    return fail(ErrorCode::NotFound, "{}: no GGUF of quantization {}; it holds {}", ref.repo,
                ref.quant, models.empty() ? "no GGUF at all" : names_of(models));
  const auto first = MILLRACE_TRY(one_gguf(selection.files));
  if (!first)
    return fail(ErrorCode::InvalidArgument,
                "{}: {} names several models: {}; choose one by --include", ref.repo, ref.quant,
                names_of(selection.files));
  selection.gguf = *first;
  return selection;
}

}  // namespace

bool matches_any(const std::vector<std::string>& patterns, const std::string& path) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return glob(pattern, path); });
}

Result<Selection> select_files(const std::vector<RemoteFile>& listing, const ModelRef& ref,
                               const Filters& filters) {
  std::vector<RemoteFile> ggufs;
  Selection selection;
  bool config = false;
  bool weights = false;
  for (const RemoteFile& file : listing) {
    if (matches_any(filters.exclude, file.path)) continue;
    if (!filters.include.empty() && !matches_any(filters.include, file.path)) continue;
    if (is_gguf(file.path)) ggufs.push_back(file);
    if (filters.include.empty() &&
        (file.path.find('/') != file.path.npos ||
         std::none_of(std::begin(kModelFiles), std::end(kModelFiles),
                      [&](std::string_view pattern) { return glob(pattern, file.path); })))
      continue;
    config |= file.path == "config.json";
    weights |= file.path.ends_with(".safetensors");
    selection.files.push_back(file);
  }
  if (!ref.quant.empty()) return select_quant(std::move(ggufs), ref);
  if (!filters.include.empty()) {
    if (selection.files.empty())
      return fail(ErrorCode::NotFound, "{}: none of its {} files matches --include", ref.repo,
                  listing.size());
    if (ggufs.size() == selection.files.size())
      selection.gguf = MILLRACE_TRY(one_gguf(ggufs)).value_or("");
  } else if (!weights && !ggufs.empty() && filters.exclude.empty()) {
    return fail(ErrorCode::NotFound, "{}: holds GGUF files; choose one as {}:QUANT: {}", ref.repo,
                ref.repo, names_of(ggufs));
  } else if ((!config || !weights) && filters.exclude.empty()) {
    return fail(ErrorCode::NotFound, "{}: holds no {}; not a model in Hugging Face layout",
                ref.repo, config ? "*.safetensors" : "config.json");
  } else if (selection.files.empty()) {
    return fail(ErrorCode::NotFound, "{}: --exclude leaves none of its files", ref.repo);
  }
  if (selection.files.size() > kMostChosen)
    return fail(ErrorCode::TooLarge, "{}: {} files, the limit is {}; narrow it by --include",
                ref.repo, selection.files.size(), kMostChosen);
  return selection;
}

}  // namespace millrace::hub
