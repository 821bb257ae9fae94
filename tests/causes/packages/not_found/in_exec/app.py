"""Code without a file, as templates and plugin loaders make it."""

exec("import absent_plugin")

VALUE = 1
