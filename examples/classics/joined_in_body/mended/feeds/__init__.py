"""Price lists, read when the module is imported."""
