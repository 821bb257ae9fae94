"""Tracing a program without changing it: PYTHONPATH, a start-up file, ``importtrace run``."""

import os

# On PYTHONPATH, this directory's sitecustomize starts the tracing (docs/injection.md).
SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
