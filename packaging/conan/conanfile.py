"""libams for Conan 2, from the checkout around this file: `conan create packaging/conan`."""

import re
from pathlib import Path

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy


class Libams(ConanFile):
    name = "libams"
    description = "Adaptive Model Streaming: live model adaptation over narrow links"
    license = "MIT"
    url = homepage = "https://github.com/libams/libams"
    package_type = "static-library"
    settings = "os", "compiler", "build_type", "arch"
    # Rooms beside core, session, segmentation, policy and runtime.
    options = {"net": [True, False], "store": [True, False]}
    # libams uses fmt as headers: it must not meet a compiled one of another version.
    default_options = {"net": False, "store": False, "fmt/*:header_only": True}

    def set_version(self):
        header = Path(self.recipe_folder, "..", "..", "include", "ams", "core", "version.hpp")
        self.version = re.search(r'version_string = "([0-9.]+)"', header.read_text())[1]

    def export_sources(self):
        checkout = Path(self.recipe_folder, "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*"):
            copy(self, pattern, checkout, self.export_sources_folder)

    def requirements(self):
        for package in ("zstd/[>=1.4 <2]", "eigen/[>=3.4 <4]", "fmt/[>=9 <13]"):
            self.requires(package, transitive_headers=True, transitive_libs=True)
        if self.options.net:
            self.requires("boost/[>=1.74 <2]")
            self.requires("openssl/[>=3 <4]")
            self.requires("flatbuffers/[>=2 <26]")
        if self.options.store:
            self.requires("sqlite3/[>=3.24 <4]")

    def build_requirements(self):
        if self.options.net:
            self.tool_requires("flatbuffers/<host_version>")

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for room, wanted in {
            "TORCH": False, "VIDEO": False, "BUNDLE": False, "ONNX": False, "EXECUTORCH": False,
            "NET": self.options.net, "STORE": self.options.store
        }.items():
            toolchain.cache_variables[f"AMS_WITH_{room}"] = bool(wanted)
        for part in ("PYTHON", "EXAMPLES", "TESTS", "BENCHMARKS"):
            toolchain.cache_variables[f"AMS_BUILD_{part}"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, Path(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # Consumers read the package file that libams installs: find_package(ams), ams::core, ams::runtime, ...
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/ams"]
        self.cpp_info.set_property("pkg_config_name", "libams")
        self.cpp_info.libs = []
