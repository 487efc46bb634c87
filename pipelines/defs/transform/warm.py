"""dbt kept warm: imported and its project parsed once, then forked for each build.

To start dbt takes about as long as to run it on a small brand. So a command starts one process that
gets ready while the command does something else. What Dagster then starts as `dbt` is `huitou-dbt`,
which asks that process to do the work in a fork of itself. Where none stands, it is plain dbt.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

from pipelines.defs.transform.parsing import parse

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

#: Names the socket of the warm process to those who may use it.
SOCKET = "HUITOU_DBT_SOCKET"
#: dbt's exit codes: something that was built did not go well; it could not go on.
FAILED, BROKEN = 1, 2
#: How long a build may take to stop when it is told to.
GRACE_SECONDS = 10


@contextmanager
def warm_dbt(target: Path, words: Sequence[str]) -> Iterator[None]:
    """A warm dbt while the block runs, for this process and those it starts.

    Its first act is to parse by `words`, the options of the project, and to keep in `target` what
    comes of it. It ends with the block, or with the process that started it.
    """
    with TemporaryDirectory(prefix="huitou-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = str(Path(folder, "dbt"))
        try:
            listener.bind(address)
        except OSError:  # the system allows a socket's path no such length: dbt starts cold
            yield
            return
        listener.listen()  # who asks before the project is parsed waits
        process = _start(listener, target, words)
        listener.close()
        os.environ[SOCKET] = address
        try:
            yield
        finally:
            del os.environ[SOCKET]
            process.terminate()
            process.communicate()


def _start(listener: socket.socket, target: Path, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """The warm process; the end of its input, even by our sudden death, is its end."""
    number = listener.fileno()
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-P", "-m", __name__, str(number), str(target), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[number],
        start_new_session=True,
    )


def is_parsed() -> bool:
    """Whether a warm dbt stands that could parse the project; waits until it has tried."""
    return _ask([]) == 0


def client() -> NoReturn:
    """`huitou-dbt`: what `dbt` does with the same words, by the warm process if one stands."""
    words = sys.argv[1:]
    code = _ask(words)
    if code is not None:
        sys.exit(code)
    dbt = Path(sys.executable).parent / "dbt"
    os.execv(dbt, [str(dbt), *words])  # noqa: S606  # no shell is wanted


def _ask(words: list[str]) -> int | None:
    """The exit code of dbt with these words, in this folder, environment and terminal.

    None if no warm process stands, or it is gone before it began.
    """
    request = {"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(os.environ.get(SOCKET, ""))
            socket.send_fds(connection, [b"."], [1, 2])
            connection.sendall(json.dumps(request).encode() + b"\n")
            begun = connection.recv(1)
        except OSError:
            return None
        if not begun:
            return None
        code = connection.recv(1)  # nothing if the fork was killed
    return code[0] if code else BROKEN


def serve(listener: socket.socket, target: Path, words: Sequence[str]) -> None:
    """Parse, then do what clients ask, each in a fork, until standard input ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # and nothing is left lying about
    manifest = _parsed(target, words)
    gc.collect()
    gc.freeze()
    gc.disable()  # a build is short, and the manifest is large to walk
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a fork
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        with connection:
            if not os.fork():
                os._exit(_answer(connection, manifest))
    address = Path(listener.getsockname())  # who started us may have been killed, and left it
    address.unlink(missing_ok=True)
    address.parent.rmdir()


def _parsed(target: Path, words: Sequence[str]) -> Manifest | None:
    """The parsed project; None if dbt can't, and a build will say why."""
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    found: list[Manifest] = []

    def dbt(words: list[str]) -> bool:
        result = dbtRunner().invoke(words)
        found.extend([result.result] if isinstance(result.result, Manifest) else [])
        return result.success

    return found[0] if parse(target, words, dbt) else None


def _answer(connection: socket.socket, manifest: Manifest | None) -> int:
    """The exit code for one client, sent to it as well: what dbt, run here in a fork, came to."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _, (out, err), _, _ = socket.recv_fds(connection, 1, 2)
    with connection.makefile("rb") as lines:
        request = json.loads(lines.readline())
    connection.sendall(b"!")  # from here on it is not begun again
    code = FAILED if manifest is None else 0
    if request["words"]:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        threading.Thread(target=_stop_with, args=[connection], daemon=True).start()
        code = _run(manifest, request["words"])
        atexit._run_exitfuncs()  # dbt closes its warehouse there, and a fork does not come by
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client goes away once it is told
    connection.sendall(bytes([code]))
    return code


def _run(manifest: Manifest | None, words: list[str]) -> int:
    """The exit code of dbt, its own words printed."""
    from dbt.cli.main import dbtRunner

    result = dbtRunner(manifest=manifest).invoke(words)
    if result.exception:
        print(result.exception, file=sys.stderr, flush=True)  # noqa: T201  # as dbt's command does
        return BROKEN
    return 0 if result.success else FAILED


def _stop_with(connection: socket.socket) -> None:
    """Interrupt this process, as a terminal would, when the client is gone or who let it ask."""
    select.select([connection, sys.stdin], [], [])  # neither says anything; each can end
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(BROKEN)  # dbt did not take the hint; the warehouse's own log undoes what it began


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:])
