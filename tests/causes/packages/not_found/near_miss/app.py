import legder

VALUE = legder.ENTRIES
