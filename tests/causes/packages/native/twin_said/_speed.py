"""Absent: no extension module of that name anywhere."""

import _speed_native

VALUE = _speed_native
