"""Keeps Prefect's temporary server out of the way of signals, and from outliving us.

The server is a child in our own process group: Ctrl-C at a terminal would end it together with the training that is
just about to save, and Prefect would then retry for a minute to report to a server that is gone. After ``kill -9`` it
would stay behind for ever. So it gets a session of its own and a death wish: on Linux the kernel ends it with us.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

_PR_SET_PDEATHSIG = 1


def shelter() -> None:
    """Make the temporary server, if one will be started in this process, a child of that kind; idempotent."""
    if os.environ.get("PREFECT_API_URL"):
        return
    from prefect.server.api import server

    options = {"preexec_fn": die_with_parent} if sys.platform == "linux" else {}
    popen = functools.partial(subprocess.Popen, start_new_session=True, **options)
    # Prefect offers no setting for this; the module's own view of ``subprocess`` is the narrowest place.
    vars(server)["subprocess"] = SimpleNamespace(**{**vars(subprocess), "Popen": popen})


def die_with_parent() -> None:
    """Runs in the child, before it becomes the server."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
