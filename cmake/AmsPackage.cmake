# A Debian package with the programs for server and device, libtorch beside them, systemd's units and examples:
#
#   cmake --build build --target ams-server ams-edge && cpack --config build/CPackConfig.cmake -B build/package
include_guard()

set(_ams_programs_doc ${CMAKE_INSTALL_DATAROOTDIR}/doc/ams)
foreach(_unit IN ITEMS ams-server ams-edge)
  file(READ ${PROJECT_SOURCE_DIR}/packaging/systemd/${_unit}.service _text)
  string(REPLACE "/usr/local/bin/" "/usr/bin/" _text "${_text}")
  file(WRITE ${PROJECT_BINARY_DIR}/package/${_unit}.service "${_text}")
  install(FILES ${PROJECT_BINARY_DIR}/package/${_unit}.service DESTINATION lib/systemd/system
          COMPONENT programs EXCLUDE_FROM_ALL)
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/packaging/examples ${PROJECT_SOURCE_DIR}/packaging/prometheus
                  ${PROJECT_SOURCE_DIR}/packaging/grafana
        DESTINATION ${_ams_programs_doc} COMPONENT programs EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${_ams_programs_doc} RENAME copyright
        COMPONENT programs EXCLUDE_FROM_ALL)
# What the programs use of libtorch; where a library is missing, this libtorch has no need of it.
file(GLOB _ams_libtorch ${AMS_LIBTORCH_ROOT}/lib/libtorch.so ${AMS_LIBTORCH_ROOT}/lib/libtorch_c*.so
     ${AMS_LIBTORCH_ROOT}/lib/libc10*.so ${AMS_LIBTORCH_ROOT}/lib/libgomp*.so*)
install(FILES ${_ams_libtorch} DESTINATION lib/ams-torch COMPONENT programs EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ams)
set(CPACK_PACKAGE_CONTACT "libams <libams@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Adaptive Model Streaming: server and device")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL programs)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME ams)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_SECTION video)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${AMS_LIBTORCH_ROOT}/lib)
include(CPack)
