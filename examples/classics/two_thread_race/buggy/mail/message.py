class Message:
    def __init__(self, text: str) -> None:
        self.text = text


from .template import Template  # below Message, because template needs it


def welcome(name: str) -> Message:
    return Template("Welcome, {name}").filled(name=name)
