from importlib.metadata import entry_points

for entry in entry_points(group="acme.plugins"):
    entry.load()
