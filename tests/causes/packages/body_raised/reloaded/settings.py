"""Works the first time, and fails when it is executed again."""

TEXT = globals().get("TEXT", "80")
PORT = int(TEXT)
