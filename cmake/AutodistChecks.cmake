# Checks of the house itself: include edges against LAYERS, shell scripts, headers without a .cc compile alone.
find_package(Python3 COMPONENTS Interpreter REQUIRED)
add_test(NAME check_layers COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/check_layers.py)
add_test(NAME check_shell COMMAND ${PROJECT_SOURCE_DIR}/tools/check_shell.sh)
add_test(NAME profile_overlap_case
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/megatron/profile_overlap_case_test.py)
set_tests_properties(check_layers check_shell profile_overlap_case PROPERTIES LABELS unit)

# Sanitizers would find nothing in it: no code of these files runs.
if(AUTODIST_SANITIZE)
  return()
endif()
get_property(headers GLOBAL PROPERTY AUTODIST_HEADERS_ALONE)
get_property(libraries GLOBAL PROPERTY AUTODIST_LIBRARIES)
foreach(header IN LISTS headers)
  string(REPLACE "/" "_" unit "${header}")
  set(source "${PROJECT_BINARY_DIR}/header_check/${unit}.cc")
  file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"@header@\"\n#include \"@header@\"\n" @ONLY)
  list(APPEND header_sources "${source}")
endforeach()
add_library(autodist_header_check OBJECT ${header_sources})
target_link_libraries(autodist_header_check PRIVATE ${libraries} autodist_warnings)
