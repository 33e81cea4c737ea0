# Helpers that give every target of the project the same language level, warnings and sanitizers.
include_guard()

if(PROJECT_IS_TOP_LEVEL)
  find_program(AMS_CCACHE ccache)
endif()
if(AMS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # pch_defines,time_macros: needed for ccache to hit on units that use a precompiled header. Base folder: a
  # second checkout of the same sources hits as well.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${AMS_CCACHE})
endif()

function(ams_target_defaults target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  # A unity build, a switch that a host may set for all its targets, would join sources that use the same names
  # for what is theirs alone.
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON UNITY_BUILD OFF)
  # -ffp-contract=off: a fused multiply-add would make results differ between machines.
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -ffp-contract=off
                         $<$<BOOL:${AMS_WARNINGS_AS_ERRORS}>:-Werror>)
  if(NOT PROJECT_IS_TOP_LEVEL AND NOT AMS_WARNINGS_AS_ERRORS)
    # A host's -Werror goes with the host's warnings, for which these sources were not written.
    set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR OFF)
    target_compile_options(${target} PRIVATE -Wno-error)
  endif()
  foreach(sanitizer IN LISTS AMS_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${sanitizer} -fno-omit-frame-pointer
                           $<$<STREQUAL:${sanitizer},undefined>:-fno-sanitize-recover=all>)
    target_link_options(${target} PRIVATE -fsanitize=${sanitizer})
  endforeach()
endfunction()

# ams_guest_defaults(<layer>): in somebody else's build, a layer's headers warn nobody, and its sources are compiled
# when a target of the host links them, or when libams is installed.
function(ams_guest_defaults layer)
  if(NOT PROJECT_IS_TOP_LEVEL)
    set_target_properties(ams_${layer} PROPERTIES SYSTEM ON)
    if(NOT AMS_INSTALL)
      set_target_properties(ams_${layer} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
  endif()
endfunction()

# ams_add_library(<layer> SOURCES <files>): static library ams_<layer>, alias ams::<layer>.
function(ams_add_library layer)
  cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
  add_library(ams_${layer} STATIC ${ARG_SOURCES})
  add_library(ams::${layer} ALIAS ams_${layer})
  set_target_properties(ams_${layer} PROPERTIES EXPORT_NAME ${layer})
  ams_target_defaults(ams_${layer})
  target_include_directories(ams_${layer} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  ams_guest_defaults(${layer})
  set_property(GLOBAL APPEND PROPERTY AMS_LAYERS ${layer})
endfunction()

# ams_add_headers(<layer> LIBS <targets>): the same for a layer of headers alone, include/ams/<layer>.
function(ams_add_headers layer)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_library(ams_${layer} INTERFACE)
  add_library(ams::${layer} ALIAS ams_${layer})
  set_target_properties(ams_${layer} PROPERTIES EXPORT_NAME ${layer})
  target_compile_features(ams_${layer} INTERFACE cxx_std_20)
  target_include_directories(ams_${layer} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(ams_${layer} INTERFACE ${ARG_LIBS})
  ams_guest_defaults(${layer})
  set_property(GLOBAL APPEND PROPERTY AMS_LAYERS ${layer})
endfunction()

# ams_add_test(<layer> <name> SOURCES <files> LIBS <targets> [LABELS <labels>]): one doctest program and
# one ctest entry "<layer>/<name>". AMS_DATA_DIR (environment) is where optional real data may be.
function(ams_add_test layer name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  set(target test_${layer}_${name})
  add_executable(${target} ${ARG_SOURCES})
  ams_target_defaults(${target})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE ${ARG_LIBS} doctest_main)
  target_compile_definitions(${target} PRIVATE AMS_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${layer}/${name} COMMAND ${target})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${layer}/${name} PROPERTIES LABELS "${layer};${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  # tests_<label> builds what `ctest -L <label>` runs.
  foreach(label IN ITEMS ${layer} ${ARG_LABELS})
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${target})
  endforeach()
endfunction()

# ams_add_program(<name> SOURCES <files> LIBS <targets>): an installed executable.
function(ams_add_program name)
  cmake_parse_arguments(ARG "" "COMPONENT" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_COMPONENT)
    set(ARG_COMPONENT tools)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  ams_target_defaults(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  # Installed, it finds these where they were: in no folder that the loader searches by itself. A package brings them.
  set(folders "")
  if(AMS_PACKAGE)
    list(APPEND folders "$ORIGIN/../lib/ams")
  else()
    if(AMS_LIBTORCH_ROOT)
      list(APPEND folders ${AMS_LIBTORCH_ROOT}/lib)
    endif()
    if(AMS_ONNXRUNTIME_LIBRARY)
      cmake_path(GET AMS_ONNXRUNTIME_LIBRARY PARENT_PATH folder)
      list(APPEND folders ${folder})
    endif()
    if(AMS_EXECUTORCH_ROOT)
      list(APPEND folders ${AMS_EXECUTORCH_ROOT}/lib)
    endif()
  endif()
  set_property(TARGET ${name} PROPERTY INSTALL_RPATH ${folders})
  if(AMS_INSTALL)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${ARG_COMPONENT})
  endif()
endfunction()
