# Everything starts here: `make run` and `make test` set up whatever is missing first.

PYTHON ?= python3
# What an installed package or ours is compiled to is kept, also where the environment says otherwise: a
# test run starts some 600 processes, and each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

IN = .venv/bin/python
HOLD = $(IN) -m ecom.broker run

help: ## Show these lines
	@sed -n 's/^\([a-z]*\):.*## /  make \1 - /p' Makefile

run: setup ## Place orders in a running shop and watch the sagas
	@$(HOLD) $(IN) -m ecom_lab.demo

# Several tests at a time, as each waits for others' processes now and then; what has to stay together
# does so (tests/support/scheduling.py).
TESTS = $(IN) -m pytest -q -n 4

check: lint setup-test ## Check the style, and run the tests that need neither broker nor process (a minute)
	@$(TESTS) tests/unit

test: setup-test ## Run the tests, and every notebook against its committed outputs
	@$(HOLD) $(TESTS) --nbval

course: setup-test ## Grade the course's exercises, solutions and wrong answers; run all in batch (six minutes)
	@$(HOLD) $(TESTS) --nbval tests/course notebooks/build notebooks/clinic notebooks/solutions

lab: setup ## Open copies of the notebooks in JupyterLab (in work/, where yours stay as you leave them)
	@PYTHON=$(IN) $(HOLD) sh bin/lab

originals: ## Put the original notebooks back into work/ (what you had there stays, under another name)
	@sh bin/lab --originals

book: setup-book ## Make a book of the course in build/book: static, to be read and searched without a network
	@$(IN) -m sphinx -q -E -W --keep-going -c docs/book . build/book
	@echo "build/book/index.html"

browser: setup-browser ## Run every notebook, and the book, in a real browser
	@$(HOLD) $(IN) -m pytest -q tests/browser/test_jupyterlab.py tests/browser/test_book.py

compat: setup-test ## Run what needs a broker on the newest RabbitMQ in Debian (root; a quarter of an hour)
	@bin/compat $(HOLD) $(IN) -m pytest -q -n 2 tests/integration tests/system tests/lab/test_chaos.py

chaos: setup ## Play every fault at full size (an hour and a half; goes on where it was), and write docs/RELIABILITY.md
	@$(HOLD) $(IN) -m ecom.cli chaos --full --resume --report docs/RELIABILITY.md

bench: setup ## Measure everything beside the floor and the peers (half an hour), and write docs/PERFORMANCE.md
	@benchmarks/peers/setup
	@$(IN) -m ecom.cli bench --report docs

lint: setup ## Check style, types, and who may import whom
	@$(IN) -m ruff check .
	@$(IN) -m ruff format --check .
	@.venv/bin/lint-imports --no-logo --no-cache
	@$(IN) -m mypy

setup: ## Install what is missing (into .venv; RabbitMQ by apt on Debian and Ubuntu)
	@PYTHON='$(PYTHON)' sh bin/setup

setup-test:
	@PYTHON='$(PYTHON)' sh bin/setup test

setup-book:
	@PYTHON='$(PYTHON)' sh bin/setup book

setup-browser:
	@PYTHON='$(PYTHON)' sh bin/setup test book browser

clean: ## Remove all that setup and running have made here
	rm -rf .venv .ecom .compat build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help run check test course lab originals book browser compat chaos bench lint setup setup-test \
	setup-book setup-browser clean
