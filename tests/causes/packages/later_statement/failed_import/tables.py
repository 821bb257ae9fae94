"""The statement that binds `codec` is an import that fails."""

try:
    from absent_codecs import codec  # noqa: F401
except ImportError:
    pass
