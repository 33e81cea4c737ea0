# libams for vcpkg, from the checkout around this file: vcpkg install libams --overlay-ports=packaging/vcpkg
vcpkg_check_linkage(ONLY_STATIC_LIBRARY)
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS feature_options FEATURES
  net AMS_WITH_NET
  store AMS_WITH_STORE)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${feature_options}
    -DAMS_WITH_TORCH=OFF
    -DAMS_WITH_VIDEO=OFF
    -DAMS_WITH_BUNDLE=OFF
    -DAMS_WITH_ONNX=OFF
    -DAMS_WITH_EXECUTORCH=OFF
    -DAMS_BUILD_PYTHON=OFF
    -DAMS_BUILD_EXAMPLES=OFF
    -DAMS_BUILD_TESTS=OFF
    -DAMS_BUILD_BENCHMARKS=OFF
    "-DAMS_FLATC=${CURRENT_HOST_INSTALLED_DIR}/tools/flatbuffers/flatc"
  MAYBE_UNUSED_VARIABLES AMS_FLATC)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME ams CONFIG_PATH lib/cmake/ams)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
