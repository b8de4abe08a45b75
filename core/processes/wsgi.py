"""The WSGI application that gunicorn serves; loaded once, before it forks."""

import gc

# What a start loads stays: looking through it again and again would take a tenth of the start, and
# once it is frozen, forked workers share it with their parent.
gc.disable()
from sqlalchemy.orm import configure_mappers  # noqa: E402

from core.platform.logging import configure  # noqa: E402
from core.platform.settings import get_settings  # noqa: E402
from core.processes.app import make_app  # noqa: E402
from core.runtime import get_runtime  # noqa: E402

configure(get_settings(), "web")
app = make_app(get_runtime(), introspection=False)
# Else each worker would do it at its first page, in memory of its own.
configure_mappers()
gc.freeze()
gc.enable()
