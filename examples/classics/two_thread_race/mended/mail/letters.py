from .message import Message
from .template import Template


def welcome(name: str) -> Message:
    return Template("Welcome, {name}").filled(name=name)
