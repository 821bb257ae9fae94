from .message import Message


class Template:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def filled(self, **values: str) -> Message:
        return Message(self.pattern.format(**values))
