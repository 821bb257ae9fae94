"""The failure is an import that fails; three other threads wait for this module."""

import gates

gates.open("core started")
gates.wait("core is waited for")
import absent_engine

connect = absent_engine.connect
