import gates

gates.open("child started")
gates.wait("svc failed")
