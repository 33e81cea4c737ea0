# libtorch as the target ams::libtorch, for the build and for whoever uses an installed ams::torch.
#
# torch's own package file is found and not loaded: wherever torch was built for CUDA, as PyPI's default wheels
# are, it stops with an error unless a CUDA toolkit is installed, and nothing here compiles CUDA.
include_guard(GLOBAL)

# ams_find_libtorch(<folder>...): looks in Torch_DIR and Torch_ROOT (variables of CMake or of the environment), in
# CMAKE_PREFIX_PATH, then in the folders, each torch's own or its share/cmake, and last where CMake looks by itself.
# Defines ams::libtorch and sets AMS_LIBTORCH_ROOT and AMS_LIBTORCH_VERSION; where none is found it sets
# AMS_LIBTORCH_ROOT to "".
function(ams_find_libtorch)
  set(AMS_LIBTORCH_ROOT "" CACHE INTERNAL "")
  set(AMS_LIBTORCH_VERSION "" CACHE INTERNAL "")
  unset(_ams_config)  # a find_ command leaves a variable that is set alone
  foreach(_ams_hints IN ITEMS "${Torch_DIR};$ENV{Torch_DIR};${Torch_ROOT};$ENV{Torch_ROOT}" "${CMAKE_PREFIX_PATH}"
                              "${ARGN}")
    if(_ams_hints AND NOT _ams_config)
      find_file(_ams_config TorchConfig.cmake PATHS ${_ams_hints} PATH_SUFFIXES Torch share/cmake/Torch
                NO_DEFAULT_PATH NO_CACHE)
    endif()
  endforeach()
  if(NOT _ams_config)
    find_file(_ams_config TorchConfig.cmake PATH_SUFFIXES Torch share/cmake/Torch NO_CACHE)
  endif()
  if(NOT _ams_config)
    return()
  endif()
  cmake_path(GET _ams_config PARENT_PATH _package_dir)
  cmake_path(SET _root NORMALIZE ${_package_dir}/../../..)
  string(REGEX REPLACE "/$" "" _root ${_root})
  foreach(_name IN ITEMS torch torch_cpu c10)
    unset(_ams_${_name})
    find_library(_ams_${_name} ${_name} PATHS "${_root}/lib" NO_DEFAULT_PATH NO_CACHE)
    if(NOT _ams_${_name})
      message(WARNING "${_root} has a TorchConfig.cmake and no lib${_name} in lib: that is no libtorch")
      return()
    endif()
  endforeach()
  include(${_package_dir}/TorchConfigVersion.cmake)  # sets PACKAGE_VERSION
  set(AMS_LIBTORCH_ROOT ${_root} CACHE INTERNAL "Folder of libtorch")
  set(AMS_LIBTORCH_VERSION ${PACKAGE_VERSION} CACHE INTERNAL "Version of libtorch")
  if(NOT TARGET ams::libtorch)
    add_library(ams::libtorch INTERFACE IMPORTED GLOBAL)
    target_include_directories(ams::libtorch INTERFACE ${_root}/include ${_root}/include/torch/csrc/api/include)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
      # libtorch itself only names the others, CUDA's among them; a linker that drops what it sees no use for
      # would leave a program without its GPU.
      string(REPLACE " " "\\ " _path "${_ams_torch}")  # a flag goes to the shell as it is
      target_link_libraries(ams::libtorch INTERFACE "-Wl,--push-state,--no-as-needed,${_path},--pop-state")
    else()
      target_link_libraries(ams::libtorch INTERFACE ${_ams_torch})
    endif()
    target_link_libraries(ams::libtorch INTERFACE ${_ams_torch_cpu} ${_ams_c10})
  endif()
endfunction()
