"""The optional import failed, its fallback bound the name, and the fallback lacks the function."""

try:
    import fastlib as library
except ImportError:
    import slowlib as library

dumps = library.dmups
