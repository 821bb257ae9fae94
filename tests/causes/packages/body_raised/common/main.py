import settings

settings.PORT
