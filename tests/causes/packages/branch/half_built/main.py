import tables

tables.fast
