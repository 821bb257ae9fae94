# Short names for dev.py, which does all the set-up. Without make: python dev.py test
PYTHON ?= python3
ARGS ?=

.PHONY: help demo test lint integration stress bench interpreters clean

help:
	@$(PYTHON) dev.py --help

demo test lint integration stress bench interpreters:
	@$(PYTHON) dev.py $@ $(if $(ARGS),-- $(ARGS))

clean:
	rm -rf .venv .nox dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
