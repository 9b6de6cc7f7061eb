# make demo   photographs a small object, reconstructs it, measures it, exports a textured mesh
# make test   runs the tests, in two processes: each keeps hardly more than one core busy
# make venv   installs into .venv, which the other targets do by themselves when it is needed
# make lint   ruff and mypy
# make stub   writes the types of the native code (src/tondo/_native.pyi) from the module
# make sanitize   runs the kernels' tests with AddressSanitizer and UndefinedBehaviorSanitizer
#
# The installation is an editable one: changes under src/ count at once, and a change of the
# native code (cpp/), CMakeLists.txt or pyproject.toml makes the next target build it again.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
# Our own builds: a warning of the compiler is an error (CMakeLists.txt says why others' are not).
STRICT := -C cmake.define.TONDO_WERROR=ON
NATIVE := pyproject.toml CMakeLists.txt $(shell find cpp -type f -name '*.[ch]*')
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install

.PHONY: demo test venv lint stub sanitize
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(VENV)/bin/python examples/demo.py demo

test: $(VENV)/.installed-test $(VENV)/blender/.tried
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

venv: $(VENV)/.installed

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

stub: $(VENV)/.installed-dev
	$(VENV)/bin/python cpp/bindings/write_stub.py > $(VENV)/_native.pyi
	mv $(VENV)/_native.pyi src/tondo/_native.pyi
	$(VENV)/bin/ruff format src/tondo/_native.pyi

# Beside the normal module, and on the kernels' own threads, so that these run the tests, too. Python
# itself leaks; torch frees by other ways than it allocates.
SANITIZED := build/sanitize
TESTS := tests/kernels
sanitize: $(VENV)/.installed-test
	$(PIP) $(STRICT) -C cmake.define.TONDO_SANITIZE=ON -C cmake.define.TONDO_TORCH_THREADS=OFF \
	  -C build-dir=$(SANITIZED)/build --no-deps --upgrade --target $(SANITIZED)/site .
	LD_PRELOAD="$$($${CXX:-c++} -print-file-name=libasan.so) $$($${CXX:-c++} -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0:alloc_dealloc_mismatch=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  $(VENV)/bin/python -c "$$sanitized" -s $(TESTS)

# The editable installation is found before any path.
define sanitized
import sys
sys.meta_path = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__]
sys.path.insert(0, '$(SANITIZED)/site')
import pytest
from tondo import _native
assert '$(SANITIZED)' in _native.__file__, _native.__file__
sys.exit(pytest.main(sys.argv[1:]))
endef
export sanitized

$(VENV)/.installed: $(NATIVE) | $(VENV)/bin/python
	@$(compiler)
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(NATIVE) | $(VENV)/bin/python
	@$(compiler)
	$(PIP) $(STRICT) -e '.[test]'
	@touch $(VENV)/.installed $@

# Blender as a Python module, for the tests that open meshes in it; beside, not in, the environment:
# it wants an older NumPy. Where there is none for this Python, these tests are skipped.
$(VENV)/blender/.tried: | $(VENV)/.installed-test
	$(VENV)/bin/python -m venv $(VENV)/blender
	$(VENV)/blender/bin/python -m pip --disable-pip-version-check install -q 'bpy>=4.2' \
	  || echo 'No Blender (bpy) for this Python: what needs one is skipped.'
	@touch $@

$(VENV)/.installed-dev: $(NATIVE) | $(VENV)/bin/python
	@$(compiler)
	$(PIP) $(STRICT) -e '.[dev]'
	@touch $(VENV)/.installed $@

$(VENV)/bin/python:
	@$(python)
	@$(compiler)
	$(PYTHON) -m venv $(VENV)

# One sentence for each thing that pip cannot install.

define python
	command -v $(PYTHON) >/dev/null || { \
	  echo 'Tondo needs Python 3.11 or newer: install python3 (Debian, Ubuntu: sudo apt install' \
	    'python3 python3-venv python3-dev; macOS: brew install python).' >&2; exit 1; }; \
	$(PYTHON) -c '' || { \
	  echo 'Tondo needs Python 3.11 or newer, and $(PYTHON) cannot be run (see above): run make' \
	    'PYTHON=python3.12 (or the path of one that can).' >&2; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Tondo needs Python 3.11 or newer, and $(PYTHON) is' \
	    "$$($(PYTHON) -c 'import platform; print(platform.python_version())'): install a newer" \
	    'one and run make PYTHON=python3.12 (or its path).' >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'Tondo needs the venv module of Python: install python3-venv (Debian, Ubuntu:' \
	    'sudo apt install python3-venv).' >&2; exit 1; }; \
	$(PYTHON) -c 'import os, sys, sysconfig; \
	  sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || { \
	  echo 'Tondo needs the header files of Python: install python3-dev (Debian, Ubuntu:' \
	    'sudo apt install python3-dev).' >&2; exit 1; }
endef

define compiler
	command -v "$${CXX:-c++}" >/dev/null || command -v g++ >/dev/null \
	  || command -v clang++ >/dev/null || { \
	  echo 'Tondo needs a C++ compiler: install g++ (Debian, Ubuntu: sudo apt install g++;' \
	    'macOS: xcode-select --install).' >&2; exit 1; }
endef
