"""The key pair that signs, and the interface of what provides it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .._errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret id, its secret key and, for temporary keys, a token. Read and replaced as one.

    Attributes:
        secret_id: The id of the key; sent in clear.
        secret_key: The key; never sent and never shown.
        token: The token of a temporary key; never shown.
    """

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("secret_id", "secret_key", "token"):
            text = getattr(self, name)
            if text is not None and not (text and text.isascii() and text.isprintable() and " " not in text):
                raise ConfigurationError(
                    f"the {name} is empty or has characters that no key has; was it pasted with a line break?"
                )


class CredentialProvider(Protocol):
    """Anything that can provide the credential of the next request."""

    async def get(self) -> Credential:
        """Return the credential to sign with now.

        Called before every attempt, so it must be quick when nothing has changed.

        Raises:
            MissingCredentialsError: There is none.
        """


class StaticCredentials:
    """Always the same credential."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def get(self) -> Credential:
        return self._credential
