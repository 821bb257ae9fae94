from app.compat import dmups

dmups([])
