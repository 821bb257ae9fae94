"""The same shape, but both branches bind the name."""

PLATFORM = "other"

if PLATFORM == "here":

    def fast():
        return 1
else:

    def fast():
        return 2
