# Thin on purpose: everything is in tools/ (python3 -m tools --help).
PYTHON ?= python3
.DEFAULT_GOAL := help
.PHONY: help demo up down test lint format bench clean

help demo up down test lint format bench clean:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not installed." >&2; \
	  echo "  Way out: sudo apt-get install -y python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -m tools $@
