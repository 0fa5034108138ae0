# make demo: the whole job on the shipped models and images.  make test: linters, types, import rules and tests.
# make adversarial: the shipped adversarial images, where a classifier has other weights than those attacked, or where
#   its first images alone were (DenseNet, WideResNet: hours on a CPU).
# make test-gpu: the tests that need an NVIDIA GPU, with the extra `gpu` installed; says what it skipped and why.
# make tables: the measured tables of README, from benchmarks/results.  make size: lines, files, imports.
# make gpu: all that needs a GPU, in slices of nine minutes (run it again until nothing is left); on a machine without
#   network: make gpu ARGS='--wheels FOLDER --data FOLDER'.
PYTHON ?= python3
EXTRAS := cpu,export,report,dev
BIN := .venv/bin

.PHONY: demo test test-gpu gpu adversarial lint format tables size setup clean

demo: setup
	$(BIN)/pixelproof demo

# a file's tests stay in one process, which makes what they share once; each process holds PyTorch, hence four at most
test: lint .venv/headers
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-gpu: setup
	$(BIN)/pytest -m gpu -rs

gpu:
	PYTHONPATH=src $(PYTHON) -m pixelproof.benchmarks.gpu $(ARGS)

adversarial: setup
	$(BIN)/pixelproof data adversarial

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pixelproof bench tables README.md --check

tables: setup
	$(BIN)/pixelproof bench tables README.md

size:
	$(PYTHON) benchmarks/size.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@test -d src/pixelproof/attack || { echo "src/pixelproof/attack is no link to a folder: git checked out without \
symbolic links. Next: git config core.symlinks true, then git checkout -- src"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pixelproof needs Python 3.11 or newer, and $(PYTHON) is older. Next: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

# ONNX Runtime's wheels carry no C++ headers; this package has those of 1.17, which later libraries still serve. It is
# not for Python 3.14, which does not matter to its headers.
.venv/headers: .venv/installed
	rm -rf $@ $@.part
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --only-binary :all: --python-version 3.12 \
		--constraint constraints.txt --target $@.part amd-quark
	mv $@.part $@
	touch $@

clean:
	rm -rf .venv build dist report.html
