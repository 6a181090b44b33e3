#include "hub/checksum.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "hub/text.h"

namespace millrace::hub {

Result<DigestKind> digest_kind(const std::string& etag, const std::string& what) {
  if (is_lower_hex(etag) && etag.size() == 64) return DigestKind::Sha256;
  if (is_lower_hex(etag) && etag.size() == 40) return DigestKind::GitBlob;
  return fail(ErrorCode::Corrupt,
              "{}: the hub names its content '{}', expected a SHA-256 or a git hash", what,
              printable(etag));
}

Result<std::string> digest_file(int fd, std::uint64_t size, DigestKind kind, const Stop& stop) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  check(context != nullptr &&
            EVP_DigestInit_ex(context.get(), kind == DigestKind::Sha256 ? EVP_sha256() : EVP_sha1(),
                              nullptr) == 1,
        "OpenSSL has no such digest");
  if (kind == DigestKind::GitBlob) {
    const std::string header = fmt::format("blob {}", size);
    EVP_DigestUpdate(context.get(), header.c_str(), header.size() + 1);  // with the final NUL
  }
  std::vector<char> buffer(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < size;) {
    if (stop.raised()) return fail(ErrorCode::Cancelled, "stopped");
    const std::size_t want =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at));
    const ssize_t got = ::pread(fd, buffer.data(), want, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::Corrupt, "cannot read: {}", std::strerror(errno));
    if (got == 0) return fail(ErrorCode::Corrupt, "ends at byte {} of {}", at, size);
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned length = 0;
  EVP_DigestFinal_ex(context.get(), bytes.data(), &length);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

}  // namespace millrace::hub
