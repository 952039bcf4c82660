# Two commands do all set-up on a machine with python3 and its venv module: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
NNCODEC := .nncodec
PIP_FLAGS := --quiet --disable-pip-version-check --no-input --no-compile
LOCKED := --no-deps --require-hashes
FUZZ ?=
FUZZ_ROUND_TRIPS ?= 2000

.DEFAULT_GOAL := help
.PHONY: help demo test test-peers test-llama-cpp test-pages fuzz bench bench-nncodec bench-efforts bench-smollm lint clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | while IFS='|' read -r target text; do printf '  %-20s %s\n' "$$target" "$$text"; done

# Made once, and again when the pins or the package's metadata change. Only files with the digests of requirements/ are
# installed, torch as its smaller CPU build where the index has that, and `pip check` says whether one is missing. A
# stamp written last means that an interrupted installation is repeated, never taken for a whole one. Bytecode is made on
# all cores, and not by pip on one; what some packages hold for another Python is no matter. By the link, mypy finds the
# package, whatever the folder of the checkout is called.
$(VENV)/.installed: pyproject.toml $(addprefix requirements/,dev.txt torch-cpu.txt torch.txt)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("bytecap needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3")'
	@echo "installing the pinned packages into $(VENV) (once)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r requirements/dev.txt
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r requirements/torch-cpu.txt 2>/dev/null || { \
		echo "no CPU build of torch with a known digest: installing the one of the package index" >&2; \
		$(VENV)/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r requirements/torch.txt; }
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
	@$(VENV)/bin/python -m pip check --disable-pip-version-check >&2
	@mkdir -p $(VENV)/types && ln -sfn ../.. $(VENV)/types/bytecap
	@touch $@

demo: $(VENV)/.installed ## build a text, train a small model on it, compile it to a cap and score it
	@$(VENV)/bin/bytecap demo --force

# Tests start a hundred processes, each of which would compile every module anew where the environment forbids bytecode.
test: lint ## check style, format and types, then run all tests
	@PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python -m pytest -q -n 2

test-peers: $(VENV)/.installed ## install transformers and hold models, tokenizers and exports against it
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r requirements/peers.txt
	@$(VENV)/bin/python -m pytest -q -o norecursedirs=.venv tests/peers

test-llama-cpp: $(VENV)/.installed ## build llama.cpp's Python binding (minutes) and hold exported GGUF files against it
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r requirements/peers.txt
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r requirements/llama-cpp.txt
	@$(VENV)/bin/python -m pytest -q -o norecursedirs=.venv tests/peers_llama_cpp

test-pages: $(VENV)/.installed ## measure every page and plot in headless Chromium (apt-get install chromium)
	@$(VENV)/bin/python -m pytest -q -o norecursedirs=.venv tests/pages_in_browser

fuzz: $(VENV)/.installed ## mutate every kind of input, and kill compiles, for long (FUZZ="--target gguf --seconds 600")
	@$(VENV)/bin/python -m tests.fuzz $(FUZZ)
	@$(VENV)/bin/python tests/fuzz/fuzz_round_trips.py --trials $(FUZZ_ROUND_TRIPS)

bench: $(VENV)/.installed ## measure sizes, gaps and speeds against the peers
	@$(VENV)/bin/python -m benchmarks.run

# llama.cpp writes its types where BYTECAP_LLAMA_PYTHON names a Python with llama-cpp-python.
bench-efforts: $(VENV)/.installed ## bytes at equal damage, time and memory of each effort from 1 to 9 (an hour or more)
	@$(VENV)/bin/python -m benchmarks.efforts

bench-smollm: $(VENV)/.installed ## compile SmolLM2-135M to 40 and 55 MB and score it against ggml's types (hours)
	@$(VENV)/bin/python -m benchmarks.smollm

# Its own environment: nncodec wants a numpy below 2. Of its dependencies the codec itself imports only these.
bench-nncodec: ## build the NNCodec peer (once, about a minute; then `make bench` runs it)
	@$(PYTHON) -m venv $(NNCODEC)
	@$(NNCODEC)/bin/python -m pip install $(PIP_FLAGS) setuptools wheel pybind11 'numpy<2'
	@$(NNCODEC)/bin/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation nncodec==2.1.3
	@$(NNCODEC)/bin/python -c 'import nncodec.nnc_core'

lint: $(VENV)/.installed ## check style, format and types
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/mypy --no-error-summary

clean: ## remove the environment, caches and what the demo wrote
	rm -rf $(VENV) $(NNCODEC) build dist bytecap-demo bytecap-smollm *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
