from app.compat import dumps

dumps([])
