import _speed

VALUE = _speed
