import app

app.VALUE
