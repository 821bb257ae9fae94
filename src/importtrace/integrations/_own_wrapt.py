"""wrapt from the folder that importtrace itself was loaded from, for a program that has no wrapt.

A container that is injected finds importtrace and what it needs in one folder, which is not on the
program's `sys.path`. Loaded from there under a name of ours, `import wrapt` in the program fails as
it would without us. Raises ModuleNotFoundError where it is not there either.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from os.path import abspath, dirname, join

NAME = "importtrace.integrations._wrapt"


def find() -> object:
    """The package, loaded once in a process."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    folder = dirname(dirname(dirname(abspath(__file__))))
    found = PathFinder.find_spec("wrapt", [folder])
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"No module named 'wrapt', nor in {folder}", name="wrapt")
    package = join(folder, "wrapt")
    spec = spec_from_file_location(NAME, found.origin, submodule_search_locations=[package])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[NAME] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[NAME]
        raise
    return module


wrapt = find()
