// What the hub says, when it lies.
#include <gtest/gtest.h>

#include "hub/checksum.h"
#include "hub/piece.h"
#include "hub/remote_file.h"
#include "hub/repo_api.h"
#include "hub/text.h"
#include "hub/transport.h"

namespace millrace::hub {
namespace {

const std::string kOid(40, 'a');
const std::string kSha(64, 'b');

Status parse_one(const std::string& entry) {
  std::vector<RemoteFile> files;
  return parse_file_page("[" + entry + "]", "org/model", files);
}

std::string file_entry(const std::string& path) {
  return R"({"type":"file","size":3,"oid":")" + kOid + R"(","path":")" + path + "\"}";
}

TEST(FilePage, ReadsFilesAndLfsPointers) {
  std::vector<RemoteFile> files;
  const std::string page = R"([{"type":"directory","oid":"x","path":"d"},)" + file_entry("d/a") +
                           R"(,{"type":"file","path":"w","size":9,"oid":"x","lfs":{"oid":")" +
                           kSha + R"(","size":7}}])";
  ASSERT_TRUE(parse_file_page(page, "org/model", files).has_value());
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "d/a");
  EXPECT_EQ(files[0].size, 3u);
  EXPECT_EQ(files[0].etag, kOid);
  EXPECT_EQ(files[1].size, 7u);
  EXPECT_EQ(files[1].etag, kSha);
}

TEST(FilePage, RefusesNamesThatLeaveTheFolder) {
  for (const char* path : {"", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b",
                           "a/", "a\\u0000b", "a\\nb", "a\\u001b[2J", "a\\u007f"}) {
    const Status status = parse_one(file_entry(path));
    ASSERT_FALSE(status.has_value()) << path;
    EXPECT_EQ(status.error().code, ErrorCode::Corrupt);
    for (const char c : status.error().message) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
  EXPECT_FALSE(parse_one(file_entry(std::string(256, 'a'))).has_value());
  std::string deep = "a";
  while (deep.size() < 1025) deep += "/a";
  EXPECT_FALSE(parse_one(file_entry(deep)).has_value());
  EXPECT_TRUE(parse_one(file_entry("a/..b/c..")).has_value());
}

TEST(FilePage, RefusesWrongTypesSizesAndDigests) {
  const std::string head = R"({"type":"file","path":"a",)";
  for (const std::string& entry : {
           std::string("3"),
           std::string("null"),
           std::string("{}"),
           std::string(R"({"type":"file"})"),
           head + R"("oid":")" + kOid + "\"}",
           head + R"("size":-1,"oid":")" + kOid + "\"}",
           head + R"("size":"3","oid":")" + kOid + "\"}",
           head + R"("size":1e30,"oid":")" + kOid + "\"}",
           head + R"("size":18446744073709551615,"oid":")" + kOid + "\"}",
           head + R"("size":3,"oid":"../../x"})",
           head + R"("size":3,"oid":""})",
           head + R"("size":3,"oid":")" + std::string(40, 'A') + "\"}",
           head + R"("size":3,"oid":")" + kOid + R"(","lfs":[]})",
           head + R"("size":3,"oid":")" + kOid + R"(","lfs":{"oid":"x","size":3}})",
       })
    EXPECT_FALSE(parse_one(entry).has_value()) << entry;
  std::vector<RemoteFile> files;
  EXPECT_FALSE(parse_file_page("{}", "o", files).has_value());
  EXPECT_FALSE(parse_file_page("[", "o", files).has_value());
  EXPECT_FALSE(parse_file_page(std::string(100'000, '['), "o", files).has_value());
}

TEST(FilePage, RefusesTwoFilesOfOneName) {
  std::vector<RemoteFile> files = {{"b"}, {"a"}, {"b"}};
  EXPECT_FALSE(check_distinct(files, "o").has_value());
  files.pop_back();
  EXPECT_TRUE(check_distinct(files, "o").has_value());
  EXPECT_EQ(files[0].path, "a");
}

TEST(Revision, ReadsCommitAndNamesOrRefuses) {
  const auto good = parse_revision(
      R"({"sha":")" + kOid + R"(","siblings":[{"rfilename":"a"},{"rfilename":"d/b"}]})", "o");
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->commit, kOid);
  EXPECT_EQ(good->paths, (std::vector<std::string>{"a", "d/b"}));
  for (const std::string& body :
       {std::string("[]"), std::string("{}"), std::string(R"({"sha":"../../x"})"),
        std::string(R"({"sha":3})"), R"({"sha":")" + kOid + R"(","siblings":3})",
        R"({"sha":")" + kOid + R"(","siblings":[3]})",
        R"({"sha":")" + kOid + R"(","siblings":[{"rfilename":"../x"}]})"})
    EXPECT_FALSE(parse_revision(body, "o").has_value()) << body;
}

TEST(ContentRange, ReadsTheOneFormAlone) {
  const auto good = parse_content_range("bytes 5-9/100");
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->range, (ByteRange{5, 10}));
  EXPECT_EQ(good->size, 100u);
  for (const char* text :
       {"", "bytes", "bytes */100", "bytes 5-9/*", "bytes 9-5/100", "bytes 5-100/100", "5-9/100",
        "bytes 5-9", "bytes -9/100", "bytes 5-/100", "bytes 5/9-100",
        "bytes 5-99999999999999999999/100", "bytes +5-9/100", "bytes 5-9/100 x"})
    EXPECT_FALSE(parse_content_range(text)) << text;
}

TEST(Links, FindsTheNextPage) {
  EXPECT_EQ(next_link(R"(<http://h/x?cursor=a,b>; rel="next")"), "http://h/x?cursor=a,b");
  EXPECT_EQ(next_link(R"(<http://h/1>; rel="prev", <http://h/2>; rel="next")"), "http://h/2");
  for (const char* text : {"", "<", "<x", "x>", "<x>", R"(<x>; rel="last")", ",,,<>,"})
    EXPECT_EQ(next_link(text), "") << text;
}

TEST(Text, OriginsEncodingAndEtags) {
  EXPECT_EQ(origin_of("https://Host/x?y"), "https://host:443");
  EXPECT_EQ(origin_of("http://host:80/"), origin_of("HTTP://HOST"));
  EXPECT_NE(origin_of("http://host:81/"), origin_of("http://host"));
  EXPECT_NE(origin_of("http://user@evil/host"), origin_of("http://host"));
  EXPECT_EQ(origin_of("file:///etc/passwd"), std::nullopt);
  EXPECT_EQ(origin_of("no address"), std::nullopt);
  EXPECT_EQ(url_encode("a b/c?#%\n", true), "a%20b/c%3F%23%25%0A");
  EXPECT_EQ(url_encode("refs/pr/1", false), "refs%2Fpr%2F1");
  EXPECT_EQ(normal_etag("W/\"abc\""), "abc");
  EXPECT_EQ(normal_etag(" \"abc\" "), "abc");
  EXPECT_EQ(parse_unsigned("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_unsigned("-1"), std::nullopt);
  EXPECT_EQ(parse_unsigned("12"), 12u);
}

TEST(Digest, KindsByLength) {
  EXPECT_EQ(*digest_kind(kOid, "x"), DigestKind::GitBlob);
  EXPECT_EQ(*digest_kind(kSha, "x"), DigestKind::Sha256);
  EXPECT_FALSE(digest_kind("abc", "x").has_value());
  EXPECT_FALSE(digest_kind(std::string(40, '/'), "x").has_value());
}

}  // namespace
}  // namespace millrace::hub
