"""Fails while another thread is inside svc.child."""

import gates

gates.open("svc started")
gates.wait("child started")
LIMIT = int("ten")
