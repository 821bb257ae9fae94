class Message:
    def __init__(self, text: str) -> None:
        self.text = text
