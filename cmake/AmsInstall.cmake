# Installation: headers, libraries, and the package that find_package(ams) reads.
include_guard()
include(CMakePackageConfigHelpers)

get_property(_ams_libraries GLOBAL PROPERTY AMS_LIBRARIES)
install(TARGETS ${_ams_libraries} EXPORT amsTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
