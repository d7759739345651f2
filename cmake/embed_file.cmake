# Run by weft_embed: FROM, a text file, becomes TO, a C++ file that defines weft::NAME.
file(READ "${FROM}" text)
file(WRITE "${TO}" "#include <string_view>\nnamespace weft {\nextern const std::string_view ${NAME};\n"
  "const std::string_view ${NAME} = R\"__weft__(${text})__weft__\";\n} // namespace weft\n")
