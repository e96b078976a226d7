from __future__ import annotations

import base64
import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async import Credential, LivenessClient, LivenessError, Photo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tencent_liveness_async import Event, PhotoSource

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox import FaultRule, FaultScript, SandboxServer, SandboxSettings

SECRET_KEY = "SECRETKEYsecretkeySECRETKEY"
TOKEN = "TOKENtokenTOKENtoken"
QUERY = "q-signature=QUERYSIGNATURE"
PHOTO = (Path(__file__).parents[2] / "examples" / "photos" / "officer.jpg").read_bytes()
FORBIDDEN = (
    SECRET_KEY,
    TOKEN,
    "Signature=",
    "TC3-HMAC",
    QUERY,
    base64.b64encode(PHOTO).decode()[100:160],
    repr(PHOTO[100:160])[2:-1],
)


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Serve a sandbox that answers in every unpleasant way."""
    rules = (
        FaultRule(fault="code", code="InternalError", calls=(2,)),
        FaultRule(fault="html", calls=(3,)),
        FaultRule(fault="reset", at="answer", calls=(4, 5)),
        FaultRule(fault="truncate", calls=(6,)),
    )
    settings = SandboxSettings(
        secret_id="AKIDtest", secret_key=SECRET_KEY, token=TOKEN, faces=False, faults=FaultScript(1, rules)
    )
    with SandboxServer(settings) as server:
        yield server


async def test_secrets_and_photos_are_never_shown(
    server: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs at DEBUG, reprs, events, errors and their tracebacks hold no key, token, signature or photo."""
    caplog.set_level(logging.DEBUG)
    events: list[Event] = []
    shown: list[str] = []
    key = Credential("AKIDtest", SECRET_KEY, TOKEN)
    async with LivenessClient(credentials=key, endpoint=server.endpoint, hooks=[events.append]) as client:
        shown.append(repr(client))
        photos: list[PhotoSource] = [
            PHOTO,
            f"https://photos.test/1.jpg?{QUERY}",
            Photo(data=PHOTO, id="an id"),
        ]
        for photo in photos * 2:
            try:
                shown.append(repr(await client.score(photo)))
            except LivenessError as error:
                shown += [str(error), repr(error), *traceback.format_exception(error)]
        async with client.score_many([b"GIF89a", *photos]) as outcomes:
            shown += [repr(outcome) async for outcome in outcomes]
    wrong = Credential("AKIDtest", f"{SECRET_KEY}wrong", TOKEN)
    async with LivenessClient(credentials=wrong, endpoint=server.endpoint) as client:
        with pytest.raises(LivenessError) as caught:
            await client.score(PHOTO)
        shown += [repr(caught.value), *traceback.format_exception(caught.value)]
    shown += [repr(event) for event in events] + [repr(key), str(key), caplog.text, repr(photos[-1])]
    text = "\n".join(shown)
    assert len(events) > 20
    assert [each for each in FORBIDDEN if each in text] == []
