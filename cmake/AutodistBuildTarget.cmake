# One INTERFACE target carries the language level, warnings and sanitizers; every target of ours links it.
# No -march flag anywhere: instruction sets are chosen at run time, in target regions.
include(GNUInstallDirs)
add_library(autodist_build INTERFACE)
add_library(autodist_warnings INTERFACE)
target_compile_features(autodist_build INTERFACE cxx_std_20)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
target_include_directories(autodist_build INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# Contraction would let the compiler fuse a*b+c in one build and not in another: bits must not depend on it.
target_compile_options(autodist_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual -Wold-style-cast
  -Wimplicit-fallthrough -Wvla -Wundef -Wconversion -Wno-sign-conversion -Wno-psabi -ffp-contract=off
  -fstack-protector-strong)
target_compile_definitions(autodist_warnings INTERFACE
  $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
if(AUTODIST_SANITIZE)
  target_compile_options(autodist_build INTERFACE "-fsanitize=${AUTODIST_SANITIZE}" -fno-omit-frame-pointer)
  target_link_options(autodist_build INTERFACE "-fsanitize=${AUTODIST_SANITIZE}")
  # g++ sees uninitialised members in the library's std::regex when sanitizers are on.
  target_compile_options(autodist_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  if(AUTODIST_SANITIZE MATCHES "undefined")
    target_compile_options(autodist_build INTERFACE -fno-sanitize-recover=all)
    # AddressSanitizer ends at the first access that these would find, but for vptr's casts to a wrong class, and
    # there is next to no such cast; they take a quarter of the time that tests compile.
    target_compile_options(autodist_build INTERFACE -fno-sanitize=null,object-size,vptr)
  endif()
else()
  # The sanitizers intercept the same calls: the two together would check neither.
  target_compile_definitions(autodist_warnings INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
endif()
