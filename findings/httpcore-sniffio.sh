#!/bin/bash
# httpcore 1.0.9 imports sniffio inside the function that makes its asynchronous locks. Where sniffio is not
# installed, as since anyio no longer requires it, the import fails anew each time, and Python searches
# its whole path several times for each request.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check httpx==0.28.1 httpcore==1.0.9 anyio==4.16.0
cat > "$folder/searches.py" <<'PY'
import asyncio
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

REQUESTS = 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Searches:
    """Counts the searches for sniffio, and finds nothing itself."""

    def __init__(self):
        self.count = 0

    def find_spec(self, name, path=None, target=None):
        self.count += name == "sniffio"


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
searches = Searches()


async def ask():
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{server.server_port}/"
        await client.get(url)
        sys.meta_path.insert(0, searches)
        for _ in range(REQUESTS):
            await client.get(url)


asyncio.run(ask())
server.shutdown()
print(searches.count / REQUESTS)
PY
without=$(timeout 60 "$folder/venv/bin/python" "$folder/searches.py")
"$folder/venv/bin/pip" install -q --disable-pip-version-check sniffio==1.3.1
with=$(timeout 60 "$folder/venv/bin/python" "$folder/searches.py")
echo "httpx 0.28.1, httpcore 1.0.9, anyio 4.16.0"
echo "expected: no search for a module in a request, as soon as one was made"
echo "seen:     $without searches for sniffio a request without it, $with with it"
python3 -c "import sys; sys.exit(0 if float('$without') > 1 and float('$with') == 0 else 1)"
