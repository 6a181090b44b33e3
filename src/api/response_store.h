// Responses that clients asked to keep: for GET /v1/responses/ID, for previous_response_id, and for
// cancelling. In memory, within bounds; the oldest goes first. Thread-safe.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>

#include "api/api_error.h"
#include "base/json.h"

namespace millrace::server {

class ResponseStore {
 public:
  ResponseStore(std::size_t most_responses, std::size_t most_bytes)
      : most_responses_(most_responses), most_bytes_(most_bytes) {}

  // The body as if it carried its whole conversation: what previous_response_id names stands before
  // its own input.
  ApiResult<Json> with_history(Json body) const;

  // A response that is being made: `input` are its items, `cancel` ends it.
  void begin(Json response, Json input, std::function<void()> cancel);
  // Its last state. Nothing if it has been deleted.
  void finish(Json response);

  ApiResult<Json> find(std::string_view id) const;
  ApiResult<Json> input_items(std::string_view id) const;
  ApiResult<Json> cancel(std::string_view id);
  ApiResult<Json> erase(std::string_view id);

 private:
  struct Entry {
    std::string id;
    Json response;
    Json input;                    // items
    std::function<void()> cancel;  // null when it is made
    bool cancelled = false;
    std::size_t bytes = 0;
  };

  std::list<Entry>::iterator at(std::string_view id);
  const Entry* look(std::string_view id) const;
  void weigh(Entry& entry);

  std::size_t most_responses_, most_bytes_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // newest first
  std::size_t bytes_ = 0;
};

}  // namespace millrace::server
