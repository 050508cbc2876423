# Third-party libraries as targets. scripts/install_deps.sh installs the Debian packages behind them.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)

# Libraries without a CMake package: autodist_find_library(TARGET library header).
function(autodist_find_library target library header)
  find_library(${target}_LIBRARY ${library} REQUIRED)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  add_library(autodist_dep::${target} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(autodist_dep::${target} PROPERTIES
    IMPORTED_LOCATION "${${target}_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${${target}_INCLUDE}")
endfunction()
autodist_find_library(hwy hwy hwy/highway.h)
autodist_find_library(onig onig oniguruma.h)
autodist_find_library(utf8proc utf8proc utf8proc.h)
autodist_find_library(xxhash xxhash xxhash.h)

# oneDNN is a yardstick of `autodist bench` for matrix products, beside our own kernel. It has a CMake
# package, but Debian's asks for the OpenCL development files, which nothing of ours uses. OpenMP: to keep it to one
# thread.
set(AUTODIST_HAVE_DNNL OFF)
if(NOT AUTODIST_WITH_ONEDNN STREQUAL "OFF")
  find_package(OpenMP COMPONENTS CXX)
  find_library(AUTODIST_DNNL_LIBRARY dnnl)
  find_path(AUTODIST_DNNL_INCLUDE oneapi/dnnl/dnnl.hpp)
  if(OpenMP_CXX_FOUND AND AUTODIST_DNNL_LIBRARY AND AUTODIST_DNNL_INCLUDE)
    set(AUTODIST_HAVE_DNNL ON)
    autodist_find_library(dnnl dnnl oneapi/dnnl/dnnl.hpp)
  elseif(AUTODIST_WITH_ONEDNN STREQUAL "ON")
    message(FATAL_ERROR "AUTODIST_WITH_ONEDNN=ON, but oneDNN or OpenMP was not found")
  endif()
endif()
message(STATUS "GEMM yardstick by oneDNN: ${AUTODIST_HAVE_DNNL}")

set(AUTODIST_HAVE_MPI OFF)
if(NOT AUTODIST_WITH_MPI STREQUAL "OFF")
  find_package(MPI COMPONENTS C)
  if(MPI_C_FOUND)
    set(AUTODIST_HAVE_MPI ON)
  elseif(AUTODIST_WITH_MPI STREQUAL "ON")
    message(FATAL_ERROR "AUTODIST_WITH_MPI=ON, but no MPI was found")
  endif()
endif()
message(STATUS "MPI communicator: ${AUTODIST_HAVE_MPI}")

if(AUTODIST_WITH_CUDA)
  find_package(CUDAToolkit 13 REQUIRED)
endif()
message(STATUS "CUDA backend: ${AUTODIST_WITH_CUDA}")

if(AUTODIST_BUILD_TESTS)
  find_package(GTest REQUIRED)
  autodist_find_library(yaml yaml-cpp yaml-cpp/yaml.h)  # reads what tune writes
endif()
if(AUTODIST_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
