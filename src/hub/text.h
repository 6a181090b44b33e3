// Small things about strings from the network.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::hub {

// ASCII, whatever the locale.
bool is_alphanumeric(char c);
bool is_lower_hex(std::string_view text);
std::string lower(std::string_view text);
std::string_view trim(std::string_view text);

// For messages: control characters become '?', and no more than 200 bytes are shown.
std::string printable(std::string_view text);

// Percent-encoded for a URL path; '/' stays if keep_slashes.
std::string url_encode(std::string_view text, bool keep_slashes);

// Decimal digits alone, within 64 bits.
std::optional<std::uint64_t> parse_unsigned(std::string_view text);

// An ETag header without W/ and the quotes.
std::string normal_etag(std::string_view header);

}  // namespace millrace::hub
