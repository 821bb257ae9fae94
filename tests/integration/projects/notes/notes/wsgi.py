import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notes.settings")
application = get_wsgi_application()

# A worker that answers its first request at full speed loads its URLs when it starts.
import notes.urls  # noqa: E402, F401
