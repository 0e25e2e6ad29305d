# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 proxy on 127.0.0.1 that passes every request on unchanged and keeps what was asked and answered:

    with recording(upstream) as proxy:
        ...                            # a client is run against proxy.url
    proxy.exchanges                    # what went through, in the order of the requests

A key is never kept: of the headers that carry one only the name is kept.
"""
import contextlib
import dataclasses
import http.client
import http.server
import sys
import threading
import urllib.parse

secret_headers = {"x-api-key", "authorization", "cookie", "x-tinker-weights-access-token"}
of_one_connection = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


@dataclasses.dataclass
class exchange:
    method: str
    path: str
    headers: dict   # of the request, names in lower case
    body: bytes
    status: int
    reply_headers: dict
    reply: bytes


def kept(headers):
    return {name.lower(): "(a key)" if name.lower() in secret_headers else value for name, value in headers}


class recording_proxy:
    def __init__(self, upstream):
        address = urllib.parse.urlsplit(upstream)
        if address.hostname != "127.0.0.1":
            raise ValueError("only a server on 127.0.0.1 is recorded")
        self.exchanges, self.lock = [], threading.Lock()
        outer = self

        class handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer leaves in one piece

            def setup(self):
                super().setup()
                self.upstream = http.client.HTTPConnection(address.hostname, address.port, timeout=120)

            def finish(self):
                self.upstream.close()
                super().finish()

            def whole_body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return body

            def pass_on(self):
                body = self.whole_body()
                entry = exchange(self.command, self.path, kept(self.headers.items()), body, 0, {}, b"")
                with outer.lock:
                    outer.exchanges.append(entry)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in of_one_connection | {"content-length", "host"}}
                headers["Host"] = address.netloc
                if body or self.command == "POST":
                    headers["Content-Length"] = str(len(body))
                for last in (False, True):  # a connection that the server closed while it was idle
                    try:
                        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                        for header in headers.items():
                            self.upstream.putheader(*header)
                        self.upstream.endheaders(body)
                        answer = self.upstream.getresponse()
                        break
                    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                        self.upstream.close()
                        if last:
                            raise
                reply = answer.read()
                entry.status, entry.reply_headers, entry.reply = answer.status, kept(answer.getheaders()), reply
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in of_one_connection | {"content-length"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)
                self.wfile.flush()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

            def log_message(self, *_):
                pass

        class server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, client_address)  # a client that goes away is no error

        self.http = server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@contextlib.contextmanager
def recording(upstream):
    proxy = recording_proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
