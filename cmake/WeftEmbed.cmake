# weft_embed(TARGET FILE...): each text file as a std::string_view weft::<its name with _ for .>.

function(weft_embed target)
  foreach(file IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "${file}" name)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
    add_custom_command(OUTPUT ${source} VERBATIM
      COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DFROM=${CMAKE_CURRENT_SOURCE_DIR}/${file} -DTO=${source}
              -P ${CMAKE_SOURCE_DIR}/cmake/embed_file.cmake
      DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/embed_file.cmake)
    target_sources(${target} PRIVATE ${source})
  endforeach()
endfunction()
