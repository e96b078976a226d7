"""`tencent-liveness sandbox`: an emulator of the API on this machine."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .._credentials.credential import Credential
from .._credentials.environment import SECRET_ID_VARIABLE, SECRET_KEY_VARIABLE, TOKEN_VARIABLES
from .._errors import ConfigurationError
from ._context import ENDPOINT_VARIABLE, PROGRAM, CommandError, Context, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..sandbox import FaultScript, SandboxSettings, SandboxStatistics

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def sandbox(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 0,
    quota: Annotated[int, Parameter(validator=Number(gte=0))] = 50,
    quota_window: Literal["fixed", "sliding"] = "fixed",
    quota_offset: float = 0.0,
    other_calls: float = 0.0,
    latency: str = "0",
    seed: int = 0,
    faults: Path | None = None,
    secret_id: str | None = None,
    secret_key: str | None = None,
    urls: Literal["trust", "fetch"] = "trust",
    fetch_from: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    faces: bool | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Serve an emulator of the API on this machine. It judges nothing and costs nothing.

    Scores follow from the photo's bytes and the seed. It checks signatures, limits and the quota as the
    API does, answers with its codes, and counts what would be billed. The first line on stdout is
    `listening on http://HOST:PORT`. SIGTERM and Ctrl-C end it.

    The key pair it knows comes from the options, else from TENCENTCLOUD_SECRET_ID and
    TENCENTCLOUD_SECRET_KEY in the environment, else it is the sandbox's own, which opens nothing.

    Args:
        host: The address to listen on. Another than loopback lets other machines in.
        port: The port; 0 is any free one.
        quota: Calls per second; what is over is throttled. 0 never throttles.
        quota_window: What the quota counts: the calls of a fixed second, or of the last one (sliding).
        quota_offset: Seconds after each whole one at which fixed windows begin, 0 to less than 1.
        other_calls: Calls per second another process of the account makes; they use up the quota, too.
        latency: Seconds a call takes: 0.3, 0.2..1.0 (uniform) or lognormal:0.4:0.5 (median, sigma).
        seed: Changes scores and latencies.
        faults: A JSON file that says which calls go wrong and how.
        secret_id: The secret id it knows.
        secret_key: The secret key that belongs to it.
        urls: Score a URL's text, or fetch the photo from where fetch-from allows.
        fetch_from: HOST:PORT that photos may be fetched from, loopback only; may be repeated.
        faces: Whether to look for faces. The default looks if the extra `faces` is installed.
        context: Streams and environment.
    """
    from ..sandbox import Latency, SandboxSettings

    try:
        key_pair = _find_key_pair(secret_id, secret_key, context)
        credential = key_pair.credential
        settings = SandboxSettings(
            secret_id=credential.secret_id,
            secret_key=credential.secret_key,
            token=credential.token,
            quota=quota or None,
            quota_window=quota_window,
            quota_offset=quota_offset,
            other_calls=other_calls,
            latency=Latency.parse(latency),
            seed=seed,
            faults=_read_faults(faults),
            urls=urls,
            fetch_from=fetch_from,
            faces=faces,
        )
    except ConfigurationError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    return _serve(settings, context, host=host, port=port, key_pair=key_pair)


@dataclass(frozen=True, slots=True)
class _KeyPair:
    """The credential the sandbox knows, and the words for where it is from."""

    credential: Credential
    origin: str

    @property
    def is_own(self) -> bool:
        return not self.origin


def _find_key_pair(secret_id: str | None, secret_key: str | None, context: Context) -> _KeyPair:
    if secret_id or secret_key:
        return _make_key_pair(secret_id, secret_key, None, "given with --secret-id and --secret-key")
    read = context.environment.get
    secret_id, secret_key = read(SECRET_ID_VARIABLE), read(SECRET_KEY_VARIABLE)
    if secret_id or secret_key:
        token = next(filter(None, map(read, TOKEN_VARIABLES)), None)
        return _make_key_pair(secret_id, secret_key, token, f"of {SECRET_ID_VARIABLE} in the environment")
    from ..sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY

    return _KeyPair(Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY), "")


def _make_key_pair(secret_id: str | None, secret_key: str | None, token: str | None, origin: str) -> _KeyPair:
    if not (secret_id and secret_key):
        missing = "secret key" if secret_id else "secret id"
        raise CommandError(f"the key pair {origin} has no {missing}; give both or neither", ExitCode.USAGE)
    return _KeyPair(Credential(secret_id, secret_key, token), origin)


def _read_faults(path: Path | None) -> FaultScript:
    from ..sandbox import FaultScript

    if path is None:
        return FaultScript()
    try:
        return FaultScript.parse(json.loads(path.read_bytes()))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", ExitCode.NOT_FOUND) from error
    except (ConfigurationError, ValueError) as error:
        raise CommandError(f"{path}: {error}", ExitCode.USAGE) from error


def _serve(
    settings: SandboxSettings, context: Context, *, host: str, port: int, key_pair: _KeyPair
) -> ExitCode:
    from ..sandbox import SandboxServer

    with _catch_stop_signals() as stops, SandboxServer(settings, host=host, port=port) as server:
        context.stdout.write(f"listening on {server.endpoint}\n")
        context.stdout.flush()
        _print_banner(server.endpoint, key_pair, context)
        number = stops.get()
        _print_counts(server.statistics(), context)
    return ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.OK


@contextmanager
def _catch_stop_signals() -> Iterator[SimpleQueue[int]]:
    """Put the signals that end the server into a queue; its `put` is made to be called by signal handlers."""
    stops: SimpleQueue[int] = SimpleQueue()
    before = {number: signal.signal(number, lambda number, _: stops.put(number)) for number in _STOP_SIGNALS}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_banner(endpoint: str, key_pair: _KeyPair, context: Context) -> None:
    from ..sandbox import BANNER, SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY

    lines = [
        BANNER,
        f"Point {PROGRAM} to it, or a client with LivenessClient(endpoint=...):",
        f"  export {ENDPOINT_VARIABLE}={endpoint}",
    ]
    if key_pair.is_own:
        lines += [
            f"  export {SECRET_ID_VARIABLE}={SANDBOX_SECRET_ID}",
            f"  export {SECRET_KEY_VARIABLE}={SANDBOX_SECRET_KEY}",
        ]
    else:
        lines.append(f"It knows the key pair {key_pair.origin}, and no other.")
    context.stderr.write("\n".join(lines) + "\n")
    context.stderr.flush()


def _print_counts(counts: SandboxStatistics, context: Context) -> None:
    context.say(
        f"{counts.calls:,} calls, {counts.billed:,} would be billed, {counts.throttled:,} throttled, "
        f"{counts.busiest_second:,} in the busiest second"
    )
