# ExecuTorch as the target ams::executorch_runtime, for the build and for whoever uses an installed ams::executorch. Its
# wheel lays it out as scripts/executorch.sh does; the wheel's CMake package needs CMake 3.28, so it is found by its
# files.
include_guard(GLOBAL)

# ams_find_executorch(<folder>...): looks in executorch_ROOT and CMAKE_PREFIX_PATH (the folder `executorch` of an
# installed wheel), in what scripts/executorch.sh made, and in the folders. Defines ams::executorch_runtime and sets
# AMS_EXECUTORCH_ROOT, which is "" where it is not found.
function(ams_find_executorch)
  set(folders ${executorch_ROOT} $ENV{executorch_ROOT} ${CMAKE_PREFIX_PATH} ${PROJECT_SOURCE_DIR}/.cache/executorch
              ${ARGN})
  set(AMS_EXECUTORCH_ROOT "" CACHE INTERNAL "Folder of ExecuTorch")
  find_path(include executorch/extension/module/module.h HINTS ${folders} PATH_SUFFIXES include NO_CACHE)
  set(libraries "")
  # The last two register themselves when they are loaded: no symbol of theirs is used.
  foreach(name executorch executorch_threadpool executorch_kernels_optimized executorch_backend_xnnpack)
    find_library(${name} ${name} HINTS ${folders} PATH_SUFFIXES lib NO_CACHE)
    list(APPEND libraries ${${name}})
    if(NOT ${name})
      return()
    endif()
  endforeach()
  if(NOT include)
    return()
  endif()
  cmake_path(GET executorch PARENT_PATH folder)
  cmake_path(GET folder PARENT_PATH root)
  set(AMS_EXECUTORCH_ROOT ${root} CACHE INTERNAL "Folder of ExecuTorch")
  if(NOT TARGET ams::executorch_runtime)
    add_library(ams::executorch_runtime INTERFACE IMPORTED GLOBAL)
    target_include_directories(ams::executorch_runtime INTERFACE
      ${include} ${include}/executorch/runtime/core/portable_type/c10)
    target_compile_definitions(ams::executorch_runtime INTERFACE C10_USING_CUSTOM_GENERATED_MACROS
      ET_EVENT_TRACER_ENABLED)  # as the libraries were compiled
    target_link_libraries(ams::executorch_runtime INTERFACE
      -Wl,--push-state,--no-as-needed ${libraries} -Wl,--pop-state)
  endif()
endfunction()
