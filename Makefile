# The two commands a newcomer needs: `make demo` and `make test`. Each makes .venv first when it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUNDLE ?= build/digits
# The tests of a file share what is slow to make.
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile

# Let an environment import what .venv holds.
define borrow
site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	printf 'import site; site.addsitedir("%s")\n' "$$($(BIN)/python -c "$$site")" \
		> "$$($(1)/bin/python -c "$$site")/sewd.pth"
endef

.PHONY: demo test test-tensorrt test-ray check fuzz bench bench-serve bench-corpus bench-edge bench-browser accuracy clean

demo: $(VENV)/.installed
	$(BIN)/sewd-export -o $(BUNDLE)
	@printf '\nspoken:\n' && cat export/sewd_export/speech/transcripts.tsv && printf '\nread by the graph, without torch:\n'
	$(BIN)/sewd transcribe --model $(BUNDLE) export/sewd_export/speech/*.flac

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(PARALLEL)

# What needs TensorRT's builder; no GPU is needed.
test-tensorrt: .venv-tensorrt/.installed
	.venv-tensorrt/bin/python -m pytest tests/export/tensorrt/test_tensorrt.py tests/runtime/inference/backends/test_tensorrt.py

test-ray: .venv-ray/.installed
	.venv-ray/bin/python -m pytest -rs tests/corpus/test_ray.py

check: $(VENV)/.installed
	scripts/check

# A minute of mutated input: `make fuzz FUZZ="--kinds lists --seconds 600"` for more, `FUZZ=--help` for all.
fuzz: $(VENV)/.installed
	$(BIN)/python -m fuzz $(FUZZ)

# Hours: `make bench BENCH="tiny --rounds 3 --clips 10"` for less, `BENCH=--help` for all there is to choose.
bench: $(VENV)/.installed .venv-optimum/.installed .venv-openvino/.installed
	@printf 'about two hours on two quiet cores: 30 minutes of exports the first time, then 90 of measuring\n'
	$(BIN)/python -m benchmarks.peers $(BENCH)
	$(BIN)/python -m benchmarks.peers.report --write

# docs/serving.md: about two hours, one of them a test of memory. faster-whisper has an environment of its own.
bench-serve: $(VENV)/.installed .venv-whisper/.installed
	$(BIN)/python -m benchmarks.serving --whisper .venv-whisper/bin/python build/whisper $(BENCH)
	$(BIN)/python -m benchmarks.serving.report --write

# docs/corpus.md: about ten minutes on two quiet cores.
bench-corpus: .venv-ray/.installed
	.venv-ray/bin/python -m benchmarks.corpus $(BENCH)

# docs/edge.md: a few minutes on a quiet core. BENCH="--bundle FOLDER" states another model's size as well.
bench-edge: $(VENV)/.installed build/edge/usr
	$(BIN)/python -m benchmarks.edge $(BENCH)

# docs/web.md: about twelve minutes on two quiet cores, after an export of some minutes the first time.
bench-browser: $(VENV)/.installed build/whisper-onnx build/transformers-js/node_modules
	$(BIN)/python -m benchmarks.browser $(BENCH)

# docs/accuracy.md: `make accuracy ACCURACY="times decoding"` measures these sections again and keeps the others.
accuracy: .venv-accuracy/.installed
	.venv-accuracy/bin/python -m benchmarks.accuracy $(ACCURACY)

# torch first and by its pinned version, so that pip does not choose a build of several gigabytes.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[export,media,server,wyoming,corpus]" --group dev
	touch $@

# The peers that cannot live in .venv: optimum-onnx needs an older transformers; OpenVINO and NNCF bring their own.
.venv-optimum/.installed: constraints-transformers4.txt benchmarks/peers/requirements-optimum.txt
	$(PYTHON) -m venv .venv-optimum
	.venv-optimum/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-optimum/bin/python -m pip install --quiet --constraint constraints-transformers4.txt torch==2.13.0
	.venv-optimum/bin/python -m pip install --quiet --constraint constraints-transformers4.txt \
		--requirement benchmarks/peers/requirements-optimum.txt
	touch $@

.venv-openvino/.installed: benchmarks/peers/requirements-openvino.txt
	$(PYTHON) -m venv .venv-openvino
	.venv-openvino/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-openvino/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements-openvino.txt
	touch $@

# TensorRT for RTX beside all that .venv has.
.venv-tensorrt/.installed: $(VENV)/.installed
	$(PYTHON) -m venv .venv-tensorrt
	.venv-tensorrt/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-tensorrt/bin/python -m pip install --quiet --constraint constraints.txt tensorrt-rtx-cu13 cuda-bindings
	$(call borrow,.venv-tensorrt)
	touch $@

# Ray, without torch.
.venv-ray/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-ray/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[ray]" pytest hypothesis
	touch $@

# OpenVINO beside all that .venv has.
.venv-accuracy/.installed: $(VENV)/.installed
	$(PYTHON) -m venv .venv-accuracy
	.venv-accuracy/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-accuracy/bin/python -m pip install --quiet --constraint constraints.txt openvino
	$(call borrow,.venv-accuracy)
	touch $@

# Headers for examples/edge, of Debian 13, which has onnxruntime. Nothing is installed.
EDGE_APT := -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$(CURDIR)/build/edge/sources \
	-o Dir::State::Lists=$(CURDIR)/build/edge/lists -o Dir::Cache=$(CURDIR)/build/edge/cache -o APT::Sandbox::User=root
build/edge/usr:
	mkdir -p build/edge/sources build/edge/lists/partial build/edge/cache/archives/partial
	sed s/bookworm/trixie/ /etc/apt/sources.list.d/debian.sources > build/edge/sources/debian.sources
	apt-get $(EDGE_APT) update --quiet=2
	cd build/edge && apt-get $(EDGE_APT) download --quiet=2 libonnxruntime-dev nlohmann-json3-dev
	for package in build/edge/*.deb; do dpkg-deb --extract $$package build/edge; done

# Whisper base behind an app, beside our server.
.venv-whisper/.installed: benchmarks/serving/requirements-whisper.txt
	$(PYTHON) -m venv .venv-whisper
	.venv-whisper/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-whisper/bin/python -m pip install --quiet --requirement benchmarks/serving/requirements-whisper.txt
	.venv-whisper/bin/python -m benchmarks.whisper build/whisper
	touch $@

# The same model for transformers.js, which runs it in a browser.
build/whisper-onnx: .venv-whisper/.installed .venv-optimum/.installed
	.venv-optimum/bin/python -m benchmarks.whisper_onnx build/whisper $@

build/transformers-js/node_modules:
	npm install --prefix web --no-audit --no-fund --ignore-scripts --no-package-lock
	npm install --prefix build/transformers-js --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2

clean:
	rm -rf .venv .venv-* web/node_modules web/types build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
