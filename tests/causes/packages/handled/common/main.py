import app

CAUGHT = {"optional": app.ERROR}
