"""The programs, by family; each was written from what really happens in it, before any explanation was seen."""
