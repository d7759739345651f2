# weft_embed(TARGET FILE...): each text file as a std::string_view weft::<its name with _ for .>.
# weft_hash(TARGET NAME FILE...): a hash of the files, named from the project's root, as a std::string_view weft::NAME.

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

function(weft_hash target name)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/ OUTPUT_VARIABLE paths)
  add_custom_command(OUTPUT ${source} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DFROM=${CMAKE_SOURCE_DIR} "-DFILES=${ARGN}" -DTO=${source}
            -P ${CMAKE_SOURCE_DIR}/cmake/hash_files.cmake
    DEPENDS ${paths} ${CMAKE_SOURCE_DIR}/cmake/hash_files.cmake)
  target_sources(${target} PRIVATE ${source})
endfunction()
