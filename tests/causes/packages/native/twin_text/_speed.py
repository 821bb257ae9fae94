"""No extension module anywhere: only a text like the linker's."""

raise ImportError("libacme_missing.so.1: cannot open shared object file: No such file")
