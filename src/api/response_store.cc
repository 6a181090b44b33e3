#include "api/response_store.h"

#include <algorithm>

#include "api/renderer.h"
#include "base/json.h"

namespace millrace::server {
namespace {

ApiError no_such(std::string_view id) {
  return {
      .status = 404,
      .message = "response '" + std::string(id.substr(0, 100)) +
                 "' is not here: it was not stored, was deleted, or has given way to newer ones",
      .type = "not_found_error",
      .param = "response_id"};
}

// A body's input as items.
Json items_of(const Json& body) {
  const Json* input = json_find(body, "input");
  if (!input) return Json::array();
  if (input->is_array()) return *input;
  return Json::array({{{"type", "message"}, {"role", "user"}, {"content", *input}}});
}

}  // namespace

std::list<ResponseStore::Entry>::iterator ResponseStore::at(std::string_view id) {
  return std::find_if(entries_.begin(), entries_.end(),
                      [&](const Entry& entry) { return entry.id == id; });
}

const ResponseStore::Entry* ResponseStore::look(std::string_view id) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.id == id; });
  return found == entries_.end() ? nullptr : &*found;
}

void ResponseStore::weigh(Entry& entry) {
  bytes_ -= entry.bytes;
  entry.bytes = dump(entry.response).size() + dump(entry.input).size();
  bytes_ += entry.bytes;
  while (entries_.size() > 1 && (entries_.size() > most_responses_ || bytes_ > most_bytes_)) {
    bytes_ -= entries_.back().bytes;
    entries_.pop_back();
  }
}

ApiResult<Json> ResponseStore::with_history(Json body) const {
  const Json* previous = json_find(body, "previous_response_id");
  if (!previous) return body;
  if (!previous->is_string())
    return api_fail(bad_field("previous_response_id", "expected a response's id"));
  Json items;
  {
    const std::lock_guard lock(mutex_);
    const Entry* entry = look(previous->get_ref<const std::string&>());
    if (!entry) {
      ApiError error = no_such(previous->get_ref<const std::string&>());
      error.param = "previous_response_id";
      error.code = "previous_response_not_found";
      return api_fail(std::move(error));
    }
    if (entry->cancel)
      return api_fail(bad_field("previous_response_id", "is a response that is still being made"));
    items = entry->input;
    for (const Json& item : entry->response["output"]) items.push_back(item);
  }
  for (Json& item : items_of(body)) items.push_back(std::move(item));
  body["input"] = std::move(items);
  return body;
}

void ResponseStore::begin(Json response, Json input, std::function<void()> cancel) {
  auto id = response["id"].get<std::string>();
  const std::lock_guard lock(mutex_);
  entries_.push_front({.id = std::move(id),
                       .response = std::move(response),
                       .input = std::move(input),
                       .cancel = std::move(cancel)});
  weigh(entries_.front());
}

void ResponseStore::finish(Json response) {
  const std::lock_guard lock(mutex_);
  const auto entry = at(response["id"].get<std::string>());
  if (entry == entries_.end()) return;
  entry->cancel = nullptr;
  entry->response = std::move(response);
  if (entry->cancelled) {
    entry->response["status"] = "cancelled";
    entry->response["incomplete_details"] = nullptr;
  }
  weigh(*entry);
}

ApiResult<Json> ResponseStore::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = look(id);
  if (!entry) return api_fail(no_such(id));
  return entry->response;
}

ApiResult<Json> ResponseStore::input_items(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = look(id);
  if (!entry) return api_fail(no_such(id));
  // Newest first, as OpenAI lists them.
  Json data = Json::array();
  for (std::size_t i = entry->input.size(); i-- > 0;) {
    Json item = entry->input[i];
    if (!item.contains("id")) item["id"] = "item_" + std::to_string(i);
    if (!item.contains("type")) item["type"] = "message";
    data.push_back(std::move(item));
  }
  const auto id_of = [&](const Json& item) { return item["id"]; };
  return Json{{"object", "list"},
              {"data", data},
              {"first_id", data.empty() ? Json() : id_of(data.front())},
              {"last_id", data.empty() ? Json() : id_of(data.back())},
              {"has_more", false}};
}

ApiResult<Json> ResponseStore::cancel(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto entry = at(id);
  if (entry == entries_.end()) return api_fail(no_such(id));
  if (!entry->cancel) return entry->response;  // it has ended
  entry->cancelled = true;
  entry->cancel();
  Json response = entry->response;
  response["status"] = "cancelled";
  return response;
}

ApiResult<Json> ResponseStore::erase(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto entry = at(id);
  if (entry == entries_.end()) return api_fail(no_such(id));
  if (entry->cancel) entry->cancel();
  bytes_ -= entry->bytes;
  entries_.erase(entry);
  return Json{{"id", std::string(id)}, {"object", "response"}, {"deleted", true}};
}

}  // namespace millrace::server
