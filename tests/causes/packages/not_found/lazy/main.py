import app

app.work()
