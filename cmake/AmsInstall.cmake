# Installation: headers, libraries, and the package that find_package(ams) reads. Every layer has an
# export file of its own, so that ams::core can be used on a machine that lacks the others' packages.
include_guard()
include(CMakePackageConfigHelpers)

set(_ams_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ams)
get_property(_ams_layers GLOBAL PROPERTY AMS_LAYERS)
foreach(_layer IN LISTS _ams_layers)
  install(TARGETS ams_${_layer} EXPORT ams-${_layer}-targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ams-${_layer}-targets NAMESPACE ams:: DESTINATION ${_ams_package_dir})
endforeach()

# Headers of the layers that were built.
foreach(_dir IN LISTS _ams_layers)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ams/${_dir} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ams
          FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h" PATTERN "module.modulemap")
endforeach()

set(AMS_VIDEO_DEPENDENCIES "")
foreach(_module IN ITEMS libavcodec libavformat libavutil libswscale)
  string(APPEND AMS_VIDEO_DEPENDENCIES "_ams_pkg(${_module} ${_module})\n  ")
endforeach()
if(AMS_WITH_X264)
  string(APPEND AMS_VIDEO_DEPENDENCIES "_ams_pkg(x264 x264)")
endif()
# libams.pc: the rooms without sources, for those who build without CMake. Where the prefix is, it knows from where
# it lies, as cmake --install may be given another one.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(AMS_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH AMS_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" AMS_PC_PREFIX "\${pcfiledir}/${AMS_PC_PREFIX}")
endif()
cmake_path(APPEND AMS_PC_INCLUDEDIR "\${prefix}" "${CMAKE_INSTALL_INCLUDEDIR}")
set(_ams_pkgconfig libams)
if(TARGET ams_c)  # libams-c.pc: the shared library for other languages
  list(APPEND _ams_pkgconfig libams-c)
  cmake_path(APPEND AMS_PC_LIBDIR "\${prefix}" "${CMAKE_INSTALL_LIBDIR}")
endif()
foreach(_name IN LISTS _ams_pkgconfig)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${_name}.pc.in ${PROJECT_BINARY_DIR}/package/${_name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/package/${_name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

string(REPLACE ";" " " AMS_LAYERS "${_ams_layers}")
# Not where find_package(ams) would find it: it is for the installed tree.
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/amsConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/package/amsConfig.cmake
                              INSTALL_DESTINATION ${_ams_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/amsConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/amsConfig.cmake ${PROJECT_BINARY_DIR}/package/amsConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/AmsLibtorch.cmake ${PROJECT_SOURCE_DIR}/cmake/AmsCorePackages.cmake
              ${PROJECT_SOURCE_DIR}/cmake/AmsOnnxRuntime.cmake ${PROJECT_SOURCE_DIR}/cmake/AmsExecutorch.cmake
        DESTINATION ${_ams_package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/libams)
