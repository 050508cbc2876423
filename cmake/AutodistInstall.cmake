# `cmake --install` gives the headers, a static library per folder, the program and a CMake package:
# find_package(autodist) and link autodist::autodist, which stands for all of the libraries. The bundled model lies where
# the installed program looks for it (autodist/cli/bundled_model.h).
include(CMakePackageConfigHelpers)
get_property(libraries GLOBAL PROPERTY AUTODIST_LIBRARIES)
get_property(headers GLOBAL PROPERTY AUTODIST_HEADERS)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/autodist")
add_library(autodist INTERFACE)
target_link_libraries(autodist INTERFACE ${libraries})
install(TARGETS autodist ${libraries} autodist_build EXPORT autodistTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(header IN LISTS headers)
  get_filename_component(folder "${header}" DIRECTORY)
  install(FILES "${PROJECT_SOURCE_DIR}/${header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/${folder}")
endforeach()
if(TARGET autodist_program)
  install(TARGETS autodist_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/models/story-2m" DESTINATION "${CMAKE_INSTALL_DATADIR}/autodist/models")
  install(PROGRAMS "${PROJECT_SOURCE_DIR}/tools/megatron/profile_overlap_case.py"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/autodist/tools/megatron")
endif()
install(EXPORT autodistTargets NAMESPACE autodist:: DESTINATION "${package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/autodistConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/autodistConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/autodistConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/autodistConfig.cmake" "${PROJECT_BINARY_DIR}/autodistConfigVersion.cmake"
  DESTINATION "${package_dir}")
