"""Imports its child, which imports nothing: no cycle anywhere in the code."""

import svc.child

READY = True
