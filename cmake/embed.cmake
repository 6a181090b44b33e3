# cmake -DFILES=a;b -DOUT=x.cc -P embed.cmake: a C++ source with each file's bytes as a text.
# `kFiles` lists them by name.
set(table "")
set(texts "")
set(number 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND texts "const unsigned char kBytes${number}[] = {${bytes}};\n")
  string(APPEND table "    {\"${name}\", {reinterpret_cast<const char*>(kBytes${number}), sizeof kBytes${number}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "// Made from files: see cmake/embed.cmake.\n#include \"server/playground.h\"\n
namespace millrace::server {\nnamespace {\n${texts}}  // namespace\n
std::span<const EmbeddedFile> playground_files() {\n  static const EmbeddedFile kFiles[] = {\n${table}  };\n  return kFiles;\n}\n
}  // namespace millrace::server\n")
