"""Units of length, and the factors between them. Import the module you need."""
