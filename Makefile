# make demo    the main job on the shipped samples        make test   the whole test suite
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow test-browser coverage lint bench clean

.venv/demo.done: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("deepcoder-hf needs Python 3.11 or newer, got " + sys.version.split()[0] + "; run make with PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv
	@$(PIP) --editable '.[fast]'
	@touch $@

.venv/test.done: .venv/demo.done
	@$(PIP) --editable '.[fast,test,publish,cluster]'
	@touch $@

.venv/bench.done: .venv/test.done
	@$(PIP) --editable '.[fast,test,publish,cluster,ray,bench]'
	@touch $@

demo: .venv/demo.done
	@$(BIN)/deepcoder-hf demo

test: .venv/test.done lint
	$(PYTEST) -m 'not slow'

test-slow: .venv/bench.done
	$(PYTEST) -m slow

# needs a Chromium: Debian's `apt-get install chromium`, or playwright's own
test-browser: .venv/test.done
	@$(PIP) --editable '.[fast,test,publish,cluster,browser]'
	@command -v chromium chromium-browser google-chrome >/dev/null || $(BIN)/playwright install --with-deps chromium
	$(BIN)/python -m pytest tests/view -m browser -rs

coverage: .venv/test.done
	$(PYTEST) -m 'not slow' --cov --cov-branch --cov-report=term-missing:skip-covered

lint: .venv/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict deepcoder_hf builders

bench: .venv/bench.done
	$(BIN)/python benchmarks/process_speed.py

clean:
	rm -rf .venv build dist *.egg-info deepcoder-demo
