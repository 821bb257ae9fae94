from tools.dataclasses import dataclass


@dataclass
class Finding:
    line: int
