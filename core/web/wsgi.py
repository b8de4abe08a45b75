"""The WSGI application that gunicorn serves."""

from core.logging import configure
from core.runtime import get_runtime
from core.settings import get_settings
from core.web.app import make_app

configure(get_settings(), "web")
app = make_app(get_runtime())
