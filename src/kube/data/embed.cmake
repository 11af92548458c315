# The tables, compiled in: each .tsv becomes a string constant of stoker::kube::data.
#   included by the top CMakeLists.txt before stoker_library(kube): sets kube_GENERATED
#   cmake -P embed.cmake -DOUT=FILE : writes the source file (the build step)
if(CMAKE_SCRIPT_MODE_FILE)
  set(text "// Made by src/kube/data/embed.cmake.\n#include \"kube/tables.h\"\nnamespace stoker::kube::data {\n")
  foreach(name messages descriptions resources defaults rules)
    file(READ ${CMAKE_CURRENT_LIST_DIR}/${name}.tsv rows)
    string(APPEND text "const std::string_view k${name} = R\"tsv!(${rows})tsv!\";\n")
  endforeach()
  file(WRITE ${OUT} "${text}}\n")
else()
  set(kube_GENERATED ${CMAKE_BINARY_DIR}/generated/kube_tables.cc)
  file(GLOB kube_tables CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.tsv)
  add_custom_command(OUTPUT ${kube_GENERATED}
    COMMAND ${CMAKE_COMMAND} -DOUT=${kube_GENERATED} -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
    DEPENDS ${kube_tables} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake)
  unset(kube_tables)
endif()
