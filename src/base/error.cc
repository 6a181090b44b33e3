#include "base/error.h"

namespace millrace {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return "invalid argument";
    case ErrorCode::NotFound:
      return "not found";
    case ErrorCode::Corrupt:
      return "corrupt";
    case ErrorCode::Unsupported:
      return "unsupported";
    case ErrorCode::TooLarge:
      return "too large";
    case ErrorCode::Unavailable:
      return "unavailable";
    case ErrorCode::Cancelled:
      return "cancelled";
  }
  return "unknown";
}

int exit_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return 2;
    case ErrorCode::NotFound:
      return 3;
    case ErrorCode::Corrupt:
      return 4;
    case ErrorCode::Unsupported:
      return 5;
    case ErrorCode::TooLarge:
      return 6;
    case ErrorCode::Unavailable:
      return 7;
    case ErrorCode::Cancelled:
      return 130;
  }
  return 1;
}

}  // namespace millrace
