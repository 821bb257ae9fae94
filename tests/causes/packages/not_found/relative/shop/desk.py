from .crat import ITEMS

VALUE = ITEMS
