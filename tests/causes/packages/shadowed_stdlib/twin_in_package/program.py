from tools.dataclasses import dataclass

MAIN = dataclass
