# Run by weft_hash: TO, a C++ file that defines weft::NAME, a hash of the names and bytes of FILES (below FROM).
set(all "")
foreach(file IN LISTS FILES)
  file(SHA256 "${FROM}/${file}" hash)
  string(APPEND all "${file} ${hash}\n")
endforeach()
string(SHA256 hash "${all}")
string(SUBSTRING "${hash}" 0 16 hash)
file(WRITE "${TO}" "#include <string_view>\nnamespace weft {\nextern const std::string_view ${NAME};\n"
  "const std::string_view ${NAME} = \"${hash}\";\n} // namespace weft\n")
