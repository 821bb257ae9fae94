"""Complete when asked; the branch that binds `fast` was not taken."""

PLATFORM = "other"

if PLATFORM == "here":

    def fast():
        return 1
else:

    def slow():
        return 2
