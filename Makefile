# The two commands a newcomer needs: `make demo` and `make test`. Each makes .venv first when it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUNDLE ?= build/digits

.PHONY: demo test check clean

demo: $(VENV)/.installed
	$(BIN)/sewd-export -o $(BUNDLE)
	@printf '\nspoken:\n' && cat export/sewd_export/speech/transcripts.tsv && printf '\nread by the graph, without torch:\n'
	$(BIN)/sewd transcribe --model $(BUNDLE) export/sewd_export/speech/*.flac

test: $(VENV)/.installed
	$(BIN)/python -m pytest

check: $(VENV)/.installed
	scripts/check

# torch first and by its pinned version, so that pip does not choose a build of several gigabytes.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[export]" --group dev
	touch $@

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
