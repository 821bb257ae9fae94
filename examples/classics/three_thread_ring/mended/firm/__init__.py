"""Orders, billing and stock; each is started by a module of its own."""
