import dataclasses

MAIN = dataclasses.dataclass
