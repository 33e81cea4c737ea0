# Debian packages of the programs, with the libraries that Debian has not, systemd's units and examples:
#
#   cmake --preset package && cmake --build --preset package && cpack --preset package
#   cmake --preset device-package && cmake --build --preset device-package && cpack --preset device-package
#
# The first is `ams`: ams-server and ams-edge, with libtorch. The second is `ams-device`: ams-edge, without.
include_guard()

set(_programs ams-edge)
set(_name ams-device)
set(_other ams)
set(_libraries "")
if(TARGET ams-server)
  list(APPEND _programs ams-server)
  set(_name ams)
  set(_other ams-device)
endif()
if(AMS_WITH_TORCH)
  # What the programs use of libtorch; where a library is missing, this libtorch has no need of it.
  file(GLOB _libraries ${AMS_LIBTORCH_ROOT}/lib/libtorch.so ${AMS_LIBTORCH_ROOT}/lib/libtorch_c*.so
       ${AMS_LIBTORCH_ROOT}/lib/libc10*.so ${AMS_LIBTORCH_ROOT}/lib/libgomp*.so*)
endif()
if(AMS_WITH_ONNX)
  cmake_path(GET AMS_ONNXRUNTIME_LIBRARY PARENT_PATH _folder)
  if(NOT _folder MATCHES "^/usr/lib")  # there it is a package's own
    file(REAL_PATH ${_folder}/libonnxruntime.so.1 _onnxruntime)
    install(FILES ${_onnxruntime} DESTINATION lib/ams RENAME libonnxruntime.so.1 COMPONENT programs)
  endif()
endif()

set(_doc ${CMAKE_INSTALL_DATAROOTDIR}/doc/${_name})
foreach(_program IN LISTS _programs)
  file(READ ${PROJECT_SOURCE_DIR}/packaging/systemd/${_program}.service _text)
  string(REPLACE "/usr/local/bin/" "/usr/bin/" _text "${_text}")
  file(WRITE ${PROJECT_BINARY_DIR}/package/${_program}.service "${_text}")
  install(FILES ${PROJECT_BINARY_DIR}/package/${_program}.service DESTINATION lib/systemd/system COMPONENT programs)
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/packaging/examples ${PROJECT_SOURCE_DIR}/packaging/prometheus
                  ${PROJECT_SOURCE_DIR}/packaging/grafana
        DESTINATION ${_doc} COMPONENT programs)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${_doc} RENAME copyright COMPONENT programs)
install(FILES ${_libraries} DESTINATION lib/ams COMPONENT programs)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ${_name})
set(CPACK_PACKAGE_CONTACT "libams <libams@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Adaptive Model Streaming: ${_programs}")
string(REPLACE ";" " and " CPACK_PACKAGE_DESCRIPTION_SUMMARY "${CPACK_PACKAGE_DESCRIPTION_SUMMARY}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL programs)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME ${_name})
set(CPACK_DEBIAN_PACKAGE_CONFLICTS ${_other})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_SECTION video)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
if(AMS_WITH_TORCH)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${AMS_LIBTORCH_ROOT}/lib)
endif()
if(AMS_WITH_ONNX)
  list(APPEND CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${_folder})
endif()
include(CPack)
