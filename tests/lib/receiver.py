"""A receiver of callbacks on loopback, over TLS with a CA of its own, that checks what it gets as Standard Webhooks says."""

import base64
import hashlib
import hmac
import http.server
import os
import ssl
import threading
import time

from stack import folder


class Call:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body

    def signed(self, secret):
        """Whether the signature is right and the time is now; secret: whsec_..."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        stamp = self.headers["webhook-timestamp"]
        text = f"{self.headers['webhook-id']}.{stamp}.".encode() + self.body
        wanted = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(wanted, self.headers["webhook-signature"]) and abs(time.time() - int(stamp)) < 300


class Receiver:
    """answer(n, call): the status of the nth call, or a pair with headers; None: it hangs until the receiver is closed."""

    def __init__(self, ground, name, answer=lambda n, call: 204, names=("localhost", "127.0.0.1")):
        self.calls, self.lock, self.over = [], threading.Lock(), threading.Event()
        tls = os.path.join(ground, f"receiver-{name}")
        os.makedirs(tls)
        os.chmod(tls, 0o755)
        folder.make_certificate(tls, names)
        self.ca = os.path.join(tls, "ca.pem")
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                call = Call(self.path, self.headers, body)
                with receiver.lock:
                    receiver.calls.append(call)
                    n = len(receiver.calls)
                said = answer(n, call)
                if said is None:
                    receiver.over.wait(120)
                    self.close_connection = True
                    return
                status, headers = said if isinstance(said, tuple) else (said, {})
                self.send_response(status)
                for key, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(key, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):	# a handshake that came to nothing
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(tls, "server.pem"), os.path.join(tls, "server.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def url(self, path="/hook", host="localhost"):
        return f"https://{host}:{self.port}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
