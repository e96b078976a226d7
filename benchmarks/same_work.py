"""Whether all peers do the same work: the whole photo, once, under a signature that covers it.

The stub believes everything, so that it is fast. Here one photo of each peer is taken apart instead.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tencent_liveness_async._protocol.signing import build_authorization

from .load import SECRET_ID, SECRET_KEY, Load
from .peers import PEERS, find_peer
from .photo_files import SIZES, make_photos
from .stub import ANSWER, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

Request = tuple[dict[str, str], bytes]


async def _capture(peer: str, path: str) -> list[Request]:
    requests: list[Request] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                requests.append((headers, body))
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with find_peer(peer)(target, 1) as run:
        await run(Load([path], calls=1))
    server.close()
    return requests


def find_difference(requests: list[Request], photo: bytes) -> str:
    """Return what is wrong with what a peer sent for `photo`; nothing if it is right."""
    if len(requests) != 1:
        return f"{len(requests)} requests for one photo"
    headers, body = requests[0]
    if json.loads(body) != {"Image": base64.b64encode(photo).decode()}:
        return "the body is not the photo"
    if headers["authorization"] != _sign(headers, body):
        return "the signature does not cover what was sent"
    return ""


def _sign(headers: Mapping[str, str], body: bytes) -> str:
    names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    return build_authorization(
        secret_id=SECRET_ID,
        secret_key=SECRET_KEY,
        service="iai",
        timestamp=int(headers["x-tc-timestamp"]),
        headers=[(name, headers[name]) for name in names],
        payload_sha256=hashlib.sha256(body).hexdigest(),
    )


def main() -> None:
    """Check every peer; end with 1 if one does other work than the rest."""
    wrong = []
    with make_photos(SIZES["2 MB"]) as paths:
        for peer in PEERS:
            found = find_difference(asyncio.run(_capture(peer, paths[0])), Path(paths[0]).read_bytes())
            print(f"{peer:<24}{found or 'the whole photo, once, signed'}")
            wrong += [peer] if found else []
    if wrong:
        sys.exit(f"not the same work: {', '.join(wrong)}")
