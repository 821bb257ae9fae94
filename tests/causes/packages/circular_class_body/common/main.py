import models

models.User()
