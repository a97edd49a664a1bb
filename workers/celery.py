"""Where ``celery -A workers`` finds the application. The one module of the package whose import reads settings."""

import sys

from annotator.errors import ConfigError
from annotator.settings import load_settings
from workers.app import create_app

try:
    app = create_app(load_settings())
except ConfigError as error:
    sys.stderr.write(f"{error}\n")
    raise SystemExit(2) from None
app.set_default()

if "worker" in sys.argv:
    from workers.boot import prepare_worker

    prepare_worker(app)
