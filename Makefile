# libams from two commands: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON := $(if $(AMS_PYTHON),$(AMS_PYTHON),.venv/bin/python)
JOBS ?= $(shell nproc)

.PHONY: help setup build demo test bench docs format clean
help:
	@echo 'make demo                   build four programs and watch a server teach a device (out/demo)'
	@echo '     demo CLIP=<folder>     on a recorded clip instead of the rendered street'
	@echo '     demo VIDEO=<file> TEACHER=<file>   on your own video and teacher network'
	@echo '     demo STUDENT=edanet    with another student: edanet, deeplabv3_mobilenetv2, model.pt'
	@echo "     demo DEMO_ARGS='--edge onnx'   with a device on ONNX Runtime, without libtorch; executorch: on ExecuTorch"
	@echo "     demo DEMO_ARGS='--task detection'   boxes of people and cars, in virtual time"
	@echo 'make test                   build everything and run every test'
	@echo 'make bench                  measure each primitive beside its plain alternative'
	@echo 'make docs                   build the site with the C++ and Python references (build-docs/html)'
	@echo 'make build | format | clean'

setup:
	@scripts/setup.sh

# $(call configure,<arguments of cmake>)
configure = cmake $(1) -DAMS_PYTHON_EXECUTABLE="$(abspath $(PYTHON))" >build-configure.log 2>&1 || \
  { cat build-configure.log; exit 1; }; rm -f build-configure.log

build: setup
	@$(call configure,--preset default)
	@cmake --build build -j $(JOBS)

# The device without libtorch takes a bundle, which the Python package makes.
demo_bundle = $(firstword $(patsubst --edge=%,%,$(filter onnx executorch --edge=onnx --edge=executorch,$(DEMO_ARGS))))
# Detection is in the Python package.
demo_detection = $(filter detection --task=detection,$(DEMO_ARGS))
demo_python = $(or $(demo_bundle),$(if $(demo_detection),onnx))

# A build folder that is there keeps its parts: what was compiled stays.
demo:
	@scripts/setup.sh --$(or $(demo_python),demo)
	@$(call configure,$(if $(wildcard build/CMakeCache.txt),-B build,--preset demo) \
	  $(if $(demo_python),-DAMS_BUILD_PYTHON=ON))
	@cmake --build build -j $(JOBS) --target $(if $(demo_detection),,demo) $(if $(VIDEO),ams-label) \
	  $(if $(demo_python),python_modules)
	@$(PYTHON) scripts/demo.py $(if $(CLIP),--clip "$(CLIP)") $(if $(VIDEO),--video "$(VIDEO)") \
	  $(if $(TEACHER),--teacher "$(TEACHER)") $(if $(STUDENT),--student "$(STUDENT)") $(DEMO_ARGS)

test:
	@scripts/setup.sh --test
	@PYTHON="$(abspath $(PYTHON))" JOBS=$(JOBS) scripts/test.sh

bench: build
	@PYTHON="$(abspath $(PYTHON))" scripts/bench.sh

docs:
	@scripts/docs.sh

format:
	@git ls-files '*.hpp' '*.cpp' | xargs clang-format-14 -i

clean:
	@rm -rf build build-*
