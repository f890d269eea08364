# `make demo` and `make test` need nothing before them but Python 3.11 or newer (with venv) and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
# Two workers of pytest on two cores: torch's own threads in each would only wait for each other. Bytecode is kept whatever the shell
# says: tests start many processes, and each would compile all modules again.
FOR_TESTS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
SECONDS_SINCE = $$(($$(date +%s) - $$start)) s

.PHONY: setup demo emulate test check check-lines check-types check-pages docs pictures wheel bench
.DELETE_ON_ERROR:

setup: $(STAMP)

# The stamp is written last, so an interrupted attempt leaves none, and the next one begins with an empty .venv.
$(STAMP): pyproject.toml
	@echo "setup: installing into .venv (minutes: torch is large)"
	@start=$$(date +%s) && $(PYTHON) -m venv $(if $(wildcard $(STAMP)),,--clear) .venv \
	&& $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' && touch $@ && echo "setup: $(SECONDS_SINCE)"

demo: setup
	@start=$$(date +%s) && $(BIN)/lmos demo && echo "demo: $(SECONDS_SINCE) in all"

# Needs root, ip, tc and control groups; says so where they are missing.
emulate: setup
	@$(BIN)/lmos emulate

test: setup
	$(FOR_TESTS) $(BIN)/python -m pytest -n 2 --dist worksteal

# All at once: types take one core, and pages wait for links and servers much of their time. What each says comes in one piece.
check: setup
	@$(MAKE) --no-print-directory --jobs 3 --output-sync check-lines check-types check-pages

check-lines: setup
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(FOR_TESTS) $(BIN)/python -m pytest --quiet -p no:cacheprovider --doctest-modules lmos_opt measurement runner lmos_edge lmos \
	  --ignore=lmos/bench/pyaugmecon_worker.py --ignore=measurement/adapters/ultralytics_yolo.py  # of environments of their own

check-types: setup
	$(BIN)/mypy

check-pages: setup
	$(FOR_TESTS) $(BIN)/python -m pytest --quiet -n 2 --dist loadgroup -m docs tests/test_readme.py tests/test_notebooks.py tests/test_site.py

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet && echo "docs: site/index.html"

pictures: setup
	$(BIN)/python docs/pictures.py

wheel: setup
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . ./lmos_edge
	$(BIN)/twine check --strict dist/*.whl
	$(PYTHON) -m venv --clear build/empty
	build/empty/bin/python -m pip install --quiet --disable-pip-version-check dist/lmos-*.whl
	cd build && empty/bin/lmos front vgg19 --select knee && empty/bin/lmos doctor
	$(PYTHON) -m venv --clear build/edge
	build/edge/bin/python -m pip install --quiet --disable-pip-version-check dist/lmos_edge-*.whl
	cd build && edge/bin/lmos-edge --version && edge/bin/lmos-edge run --help

# Kept from version to version in benchmarks/results; `asv compare OLD NEW` and `asv publish` (in benchmarks/) read them.
bench: setup
	cd benchmarks && ../$(BIN)/asv machine --yes --config asv.conf.json
	cd benchmarks && ../$(BIN)/asv run --config asv.conf.json --environment existing:$(CURDIR)/$(BIN)/python \
	  --set-commit-hash $$(git rev-parse HEAD)
