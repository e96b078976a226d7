"""The work of a call: from a photo to a score, or to the reason why there is none."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

from ._answers import RefusalError
from ._downloads import download, parse_url
from ._faces import make_face_finder
from ._pictures import decode_base64, decode_picture
from ._scores import invent_score

if TYPE_CHECKING:
    from ._parameters import Parameters
    from ._settings import SandboxSettings


class Work:
    """Scores photos, each picture in a thread."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._faces = make_face_finder(faces=settings.faces)

    def is_quick(self, parameters: Parameters) -> bool:
        """Say whether the photo is scored at once, without a thread."""
        return parameters.url is not None and self._settings.urls == "trust"

    async def score(self, parameters: Parameters) -> float:
        """Return the photo's score.

        Raises:
            RefusalError: The photo is refused.
        """
        if parameters.url is None:
            return await asyncio.to_thread(self._score_image, parameters.image or b"")
        parse_url(parameters.url)
        if self._settings.urls == "trust":
            return self._find_score(parameters.url)
        return await asyncio.to_thread(self._score_download, parameters.url)

    def _score_image(self, text: bytes | str) -> float:
        key = self._check_picture(decode_base64(text))
        return self._find_score(key)

    def _score_download(self, url: str) -> float:
        settings = self._settings
        data = download(url, allowed=settings.fetch_from, timeout=settings.fetch_timeout)
        if not data:
            raise RefusalError("InvalidParameterValue.ImageEmpty")
        key = self._check_picture(data)
        return settings.scores[url] if url in settings.scores else self._find_score(key)

    def _check_picture(self, data: bytes) -> str:
        image = decode_picture(data)
        key = sha256(data).hexdigest()
        if self._faces is not None:
            self._faces.check_face(image, sha256=key)
        return key

    def _find_score(self, key: str) -> float:
        score = self._settings.scores.get(key)
        return invent_score(key, seed=self._settings.seed) if score is None else score
