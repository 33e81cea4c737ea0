# ONNX Runtime as the target ams::onnxruntime, for the build and for whoever uses an installed ams::onnx. Its release
# archives, Debian >= 13 and scripts/onnxruntime.sh lay it out alike, but for the folder of the headers; only some have
# a CMake package, so it is found by its files.
include_guard(GLOBAL)

# ams_find_onnxruntime(<folder>...): looks in onnxruntime_ROOT and CMAKE_PREFIX_PATH, in what scripts/onnxruntime.sh
# made, in the folders, and where CMake looks by itself. Defines ams::onnxruntime and sets AMS_ONNXRUNTIME_LIBRARY and
# AMS_ONNXRUNTIME_ROOT; both are "" where it is not found.
function(ams_find_onnxruntime)
  set(folders ${onnxruntime_ROOT} $ENV{onnxruntime_ROOT} ${CMAKE_PREFIX_PATH} ${PROJECT_SOURCE_DIR}/.cache/onnxruntime
              ${ARGN})
  find_path(include onnxruntime_cxx_api.h HINTS ${folders}
            PATH_SUFFIXES include include/onnxruntime include/onnxruntime/core/session onnxruntime NO_CACHE)
  find_library(library onnxruntime HINTS ${folders} PATH_SUFFIXES lib NO_CACHE)
  if(NOT include OR NOT library)
    set(AMS_ONNXRUNTIME_LIBRARY "" CACHE INTERNAL "")
    set(AMS_ONNXRUNTIME_ROOT "" CACHE INTERNAL "")
    return()
  endif()
  cmake_path(GET library PARENT_PATH folder)
  cmake_path(GET folder PARENT_PATH root)
  set(AMS_ONNXRUNTIME_LIBRARY ${library} CACHE INTERNAL "ONNX Runtime")
  set(AMS_ONNXRUNTIME_ROOT ${root} CACHE INTERNAL "Folder of ONNX Runtime")
  if(NOT TARGET ams::onnxruntime)
    add_library(ams::onnxruntime SHARED IMPORTED GLOBAL)
    set_target_properties(ams::onnxruntime PROPERTIES IMPORTED_LOCATION ${library}
                          INTERFACE_INCLUDE_DIRECTORIES ${include})
  endif()
endfunction()
