"""Mail: messages, and the templates they are made from."""

from .message import Message
