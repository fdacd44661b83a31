# make book   build the site            make test   run the tests         make help   all the others
#
# Every target makes what it needs by itself: the environment (.venv), the locked versions, the data.

# The Python to make .venv from. Empty: the first of python3.13, python3.12, python3.11, python3 that fits.
PYTHON ?=
# 1: NVIDIA's CUDA build of TensorFlow. 0: the small CPU build. Not given: whichever .venv holds already.
GPU ?= $(if $(wildcard .venv/.installed-gpu),1,0)
# More arguments for pytest, benchmarks, experiments, shake: make test ARGS="-k lenet"
ARGS ?=
# Processes that run the tests, one for each of two cores: with a third one they take as long.
JOBS ?= 2
# Where `make serve` listens.
PORT ?= 8000
# The data kept in the repository, the last resort where nothing can be downloaded. Empty: not allowed.
CNN_TF_SAMPLE ?= $(CURDIR)/book/sample
# Set here so that a ~/.keras/keras.json does not decide what the book shows.
KERAS_BACKEND ?= tensorflow

export CNN_TF_SAMPLE KERAS_BACKEND
# Another project's modules would come before the locked ones.
unexport PYTHONPATH PYTHONHOME
# Where this is set, every process compiles TensorFlow and Keras anew: 13 seconds an import instead of 5.
unexport PYTHONDONTWRITEBYTECODE

BUILD := $(if $(filter 1,$(GPU)),gpu,cpu)
OTHER := $(if $(filter 1,$(GPU)),cpu,gpu)
PY := .venv/bin/python
UV := .venv/bin/uv
DENO := .venv/bin/deno
# -T: of a failing cell, show the cell and its error. -j: pages are executed two at a time (see conf.py).
SPHINX := $(PY) -m sphinx -j 2 -T -W --keep-going -n -c . -d _build/doctrees
PYTEST := $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
.PHONY: book test test-published serve check pdf epub slides kit lock upgrade lock-check links bench experiments shake install colab clean distclean help

book: install
	$(SPHINX) -b html book _build/html
	$(SPHINX) -q -b notebooks book _build/notebooks
	@mkdir -p _build/html/notebooks && cp _build/notebooks/*.ipynb _build/html/notebooks
	$(PY) -m tools.course _build/notebooks/questions.json _build/html/teaching
	@echo
	@echo "The book is in $(CURDIR)/_build/html/index.html"

test: install
	$(PYTEST) -m "not published" $(ARGS)

# What others receive besides the site: the wheel on each Python, the notebooks with Colab's versions, slides, PDF, EPUB.
test-published: install
	$(PYTEST) -m published $(ARGS)

serve: book
	@echo "The book is at http://localhost:$(PORT)/ (stop with Ctrl-C)"
	@$(PY) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

check: install lock-check
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(DENO) lint --quiet
	$(DENO) fmt --quiet --check
	$(DENO) check --quiet cnn_tf/explorers/javascript book/_static
	$(PY) -m codespell_lib
	$(PY) -m pytest -q tests/test_links.py

bench: install
	$(PY) -m benchmarks $(ARGS)
	TF_ENABLE_ONEDNN_OPTS=0 $(PY) -m benchmarks $(ARGS)
	KERAS_BACKEND=jax $(PY) -m benchmarks $(ARGS)
	! $(PY) -c "import torch" 2>/dev/null || KERAS_BACKEND=torch $(PY) -m benchmarks $(ARGS)

# The chapter as one file, beside the site: for a printer (by Chromium), and for a reader of books.
pdf epub: book
	$(PY) -m tools.paper $@ _build/html _build/html/cnn_tf.$@

# A lecture deck of each section, and its handout, in _build/html/slides.
slides: book
	$(PY) -m tools.slides _build/html

# The pages for lecturers, with the questions as files for course platforms.
kit: book
	@echo "The teaching kit begins at $(CURDIR)/_build/html/teaching/index.html"

# Trains what experiments/records lacks: hours, in pieces. It can be stopped at any moment.
experiments: install
	$(PY) -m experiments $(ARGS)

# Executes the pages as other processors would, and lists the checks that fail.
shake: install
	$(PY) -m tools.shake $(ARGS)

# Opens every link in the book.
links: book
	$(SPHINX) -b linkcheck book _build/links

## The environment

install: .venv/.installed-$(BUILD)

# The marks lie in .venv, so they go when it goes.
.venv/.uv: requirements/uv.txt requirements/bootstrap.sh
	@PYTHON="$(PYTHON)" sh requirements/bootstrap.sh
	@touch $@

# A second one, with Colab's versions, in which the tests execute the notebooks.
colab: .venv/colab/.installed

.venv/colab/.installed: .venv/.uv requirements/colab.txt
	@$(UV) venv --quiet --clear --python $(PY) .venv/colab
	$(UV) pip install --quiet --python .venv/colab/bin/python --no-build --require-hashes -r requirements/colab.txt
	@touch $@

# `install` leaves alone what was added by hand (PyTorch, say). From one build to the other it must be `sync`, which
# removes first: the distributions of TensorFlow hold the same files, so one has to leave before the other comes.
INSTALL := $(if $(wildcard .venv/.installed-$(OTHER)),sync,install -r) requirements/$(BUILD).txt

.venv/.installed-$(BUILD): .venv/.uv requirements/$(BUILD).txt pyproject.toml
	$(UV) pip $(INSTALL) --python $(PY) --no-build --require-hashes
	$(UV) pip install --python $(PY) --quiet --no-deps --no-build-isolation --editable .
	@rm -f .venv/.installed-$(OTHER)
	@touch $@

## The locked versions

LOCK := "$(CURDIR)/$(UV)" pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--no-emit-index-url --annotation-style line --custom-compile-command "make lock" $(NEWEST)
EXTRAS := --extra book --extra test --extra dev

# $(call lock,FOLDER): bring FOLDER/requirements up to date with FOLDER/pyproject.toml. A version in there that still fits
# stays. The CUDA build gets the versions of the CPU build, apart from TensorFlow's own.
define lock
cd $(1) && echo uv | $(LOCK) --output-file requirements/uv.txt -
cd $(1) && $(LOCK) $(EXTRAS) --extra cpu --output-file requirements/cpu.txt pyproject.toml
cd $(1) && $(LOCK) $(EXTRAS) --extra gpu --output-file requirements/gpu.txt -c requirements/cpu.txt pyproject.toml
cd $(1) && $(LOCK) --output-file requirements/colab.txt requirements/colab.in
endef

lock: .venv/.uv
	$(call lock,.)

upgrade:
	$(MAKE) lock NEWEST=--upgrade

# In a copy, which shows what would change and changes nothing.
lock-check: .venv/.uv
	@rm -rf _build/lock && mkdir -p _build/lock && cp -R pyproject.toml requirements _build/lock
	@$(call lock,_build/lock)
	@diff -ru requirements _build/lock/requirements || \
		{ echo "requirements/ does not follow pyproject.toml: run make lock"; exit 1; }

## The rest

clean:
	rm -rf _build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

distclean: clean
	rm -rf .venv

help:
	@echo "make book       build the site in _build/html (the default)"
	@echo "make serve      build it and show it at http://localhost:$(PORT)/ (PORT=...)"
	@echo "make test       run the tests (ARGS=... for pytest)"
	@echo "make test-published  those of the wheel, the notebooks with Colab's versions, slides, PDF and EPUB"
	@echo "make check      style, types, spelling, lock files, links within the project"
	@echo "make bench      compare speeds with Keras and with plain loops"
	@echo "make experiments  train what the records lack (ARGS=\"ladder\"); can be stopped at any moment"
	@echo "make shake      execute the pages with other roundings (ARGS=\"lenet --times 3\")"
	@echo "make pdf        the chapter as one PDF (needs Chromium); make epub: for readers of books"
	@echo "make slides     a lecture deck of each section (needs Chromium, for the handouts)"
	@echo "make kit        the pages for lecturers, and the questions for course platforms"
	@echo "make links      open every link in the book"
	@echo "make install    only make .venv"
	@echo "make colab      an environment with Colab's versions in .venv/colab, for the tests"
	@echo "make lock       bring requirements/ up to date with pyproject.toml"
	@echo "make upgrade    the same, with the newest version of everything"
	@echo "make clean      delete what was built; make distclean: .venv too"
	@echo "With GPU=1: TensorFlow's CUDA build. With PYTHON=python3.12: that Python, when .venv is made."
