"""What importtrace costs, against the same program without it: ``python -m benchmarks``."""
