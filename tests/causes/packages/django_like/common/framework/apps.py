from importlib import import_module


def setup(installed_apps):
    for name in installed_apps:
        import_module(name)
        import_module(name + ".models")
