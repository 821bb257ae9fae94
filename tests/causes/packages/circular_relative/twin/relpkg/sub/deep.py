"""The same way back, but the half-built module itself is what is asked for."""

from .. import top


class Deep:
    def top(self):
        return top.Top
