from acme import FIRST

VALUE = FIRST
