# kernels_emulated_test: the tests of every instruction set, of AVX-512 and AMX kernels whose intrinsics are computed with
# AVX2 (cpu/emulated_avx512.h), so that a CPU without them tests all but their speed. Copies of the kernels' files begin their
# target region with the emulation.
if(NOT AUTODIST_BUILD_TESTS OR AUTODIST_SANITIZE)  # lane by lane, and instrumented, it would take minutes
  return()
endif()
get_target_property(emulated_srcs autodist_kernels SOURCES)
list(FILTER emulated_srcs INCLUDE REGEX "\\.cc$")
foreach(file avx512 avx512bf16 amx)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cpu/${file}.cc)
  file(READ cpu/${file}.cc text)
  string(REGEX REPLACE "#pragma GCC target[^\n]*"
    "#include \"autodist/kernels/cpu/emulated_avx512.h\"\n#pragma GCC target(\"avx2,fma,f16c\")" text "${text}")
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/emulated_${file}.cc CONTENT "${text}")
  list(REMOVE_ITEM emulated_srcs cpu/${file}.cc)
  list(APPEND emulated_srcs ${CMAKE_CURRENT_BINARY_DIR}/emulated_${file}.cc)
endforeach()
autodist_test(kernels_emulated_test SRCS ${isa_tests} ${emulated_srcs} DEPS device SHARDS 2)
target_compile_definitions(kernels_emulated_test PRIVATE AUTODIST_EMULATED_ISAS)
