import helpers
import settings

helpers.port(settings.PORT)
