"""Git's own CGI program behind a small HTTP server, with basic authentication and TLS.

Arguments: port, folder with repositories, password ("" for none), certificate and key file ("" for plain http).
/moved/… redirects to the same path on another host name; /broken/… answers 500; /slow/… sends 64 KiB a second.
"""

import base64
import http.server
import os
import ssl
import subprocess
import sys
import time

PORT, ROOT, PASSWORD, CERTIFICATE, KEY = int(sys.argv[1]), *sys.argv[2:6]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b"", slow=False):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not slow:
            return self.wfile.write(body)
        for start in range(0, len(body), 16384):
            self.wfile.write(body[start : start + 16384])
            self.wfile.flush()
            time.sleep(0.25)

    def serve(self):
        body = self.body()
        if self.path.startswith("/moved/"):
            return self.answer(302, [("Location", f"http://localhost:{PORT}/{self.path[7:]}")])
        if self.path.startswith("/broken/"):
            return self.answer(500)
        slow = self.path.startswith("/slow/")
        if slow:
            self.path = self.path[5:]
        given = self.headers.get("Authorization", "")
        if PASSWORD:
            user, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
            if password != PASSWORD:
                return self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')])
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": ROOT,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": "somebody",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        output = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True).stdout
        head, _, content = output.partition(b"\r\n\r\n")
        headers = [tuple(line.decode().split(": ", 1)) for line in head.split(b"\r\n") if line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.answer(status, [header for header in headers if header[0] not in ("Status", "Content-Length")], content, slow)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    do_GET = do_POST = serve


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
if CERTIFICATE:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
