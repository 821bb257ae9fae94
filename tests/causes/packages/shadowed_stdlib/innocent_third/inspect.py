"""The user's own inspect. dataclasses imports it, and the message blames dataclasses."""

from dataclasses import dataclass


@dataclass
class Finding:
    line: int
