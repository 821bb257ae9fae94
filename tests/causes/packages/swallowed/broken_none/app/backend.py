from app.compat import fastlib

dumps = fastlib.dumps
