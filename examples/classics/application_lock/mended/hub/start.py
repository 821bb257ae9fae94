from hub import registry

READER = registry.get("csv")
