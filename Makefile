# Two commands do everything on a machine with Python 3.11 or newer and make:
#   make demo   set up, build the tiny Llama example, train it, show what it writes
#   make test   set up, run all checks and tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXAMPLE := examples/tutorials/tiny_llama
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1

.PHONY: demo test check-code setup clean

demo: $(VENV)/.ready
	$(BIN)/fgc build $(EXAMPLE)/templates/configs/tiny_llama.yaml -o $(EXAMPLE)/out
	cd $(EXAMPLE) && $(CURDIR)/$(BIN)/python out/train.py
	cd $(EXAMPLE) && $(CURDIR)/$(BIN)/python -m fgc_runtime.generate output_models/tiny_llama --prompt "def "
	@cat $(EXAMPLE)/NEXT_STEPS.txt

test: $(VENV)/.ready check-code
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q

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
	rm -rf $(VENV) $(EXAMPLE)/out $(EXAMPLE)/output_models
