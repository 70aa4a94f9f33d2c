"""
nginx.  It serves files, and answers of its own; what takes long is held to a rate.
"""

from __future__ import annotations

import resource
import signal

from benchmarks.peers.base import KEPT, Order, Peer, program, said

# One worker, as the others have one process.
_CONFIGURATION = """
daemon off;
# Without rights, workers are those of whoever starts it anyway; else they could not read files.
user root;
master_process on;
worker_processes 1;
worker_rlimit_nofile {descriptors};
error_log stderr warn;
pid {directory}/nginx.pid;
# After it, connections are ended that a worker still waits for.
worker_shutdown_timeout {grace}s;
events {{ worker_connections {descriptors}; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  default_type text/plain;
  keepalive_timeout {kept}s;
  # 1,000 is the default: connections would be ended by their number, not by the stop.
  keepalive_requests 100000000;
  # A file of 6,000 bytes takes 1.5 s at the first rate, 60 s at the second.
  map $arg_seconds $pace {{ default 4000; 60 100; 1000 1; }}
  server {{
    listen 127.0.0.1:{port}{tls} backlog=1024;
    {certificates}
    root {directory}/served;
    location = / {{ return 200 "hello\\n"; }}
    location = /echo {{ return 200 "$arg_n\\n"; }}
    location = /slow {{ limit_rate $pace; }}
    location = /upload {{ proxy_pass http://unix:{directory}/inner-{port}.sock; }}
  }}
  server {{
    listen unix:{directory}/inner-{port}.sock;
    location / {{ return 200 "done\\n"; }}
  }}
}}
"""


def version() -> str:
    path = program("nginx")
    return said([path, "-v"], r"nginx/([\d.]+)") if path else ""


def configuration(order: Order) -> str:
    """
    The text of a configuration that serves what the others serve.
    """
    pem = order.certificate
    return _CONFIGURATION.format(
        directory=order.directory,
        grace=order.seconds,
        kept=KEPT,
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        port=order.port,
        tls=" ssl http2" if pem else "",
        certificates=f"ssl_certificate {pem}; ssl_certificate_key {pem};" if pem else "",
    )


def command(order: Order) -> list[str]:
    served = order.directory / "served"
    served.mkdir(exist_ok=True)
    (served / "slow").write_bytes(b"x" * 6000)
    with open(served / "download", "wb") as file:
        file.truncate(64 * 2**20)
    path = order.directory / f"nginx-{order.port}.conf"
    path.write_text(configuration(order))
    return [
        program("nginx") or "nginx",
        "-p",
        str(order.directory),
        "-c",
        str(path),
        "-e",
        "stderr",
    ]


# SIGQUIT stops politely, SIGTERM at once; SIGHUP starts new workers and stops the old ones.
PEER = Peer(
    "nginx",
    version,
    command,
    stopSignal=signal.SIGQUIT,
    speaksHTTP2=True,
    restartSignal=signal.SIGHUP,
)
