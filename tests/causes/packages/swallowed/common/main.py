import app.backend

app.backend.dumps
