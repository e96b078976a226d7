"""The credential from the environment, by the names the platform's own tools use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._errors import MissingCredentialsError
from .credential import Credential

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_ID_VARIABLE = "TENCENTCLOUD_SECRET_ID"  # noqa: S105 - the variable's name
SECRET_KEY_VARIABLE = "TENCENTCLOUD_SECRET_KEY"  # noqa: S105 - the variable's name
TOKEN_VARIABLES = ("TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SESSION_TOKEN")
"""The platform's command line reads the first, its Node SDK the second."""


class EnvironmentCredentials:
    """Reads the environment before every attempt, so that a replaced key is taken up."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    async def get(self) -> Credential:
        """Return the credential that the environment holds now.

        Raises:
            MissingCredentialsError: The secret id or the secret key is not set, or empty.
            ConfigurationError: A value has characters that no key has.
        """
        secret_id = self._read(SECRET_ID_VARIABLE)
        secret_key = self._read(SECRET_KEY_VARIABLE)
        missing = [
            name
            for name, value in ((SECRET_ID_VARIABLE, secret_id), (SECRET_KEY_VARIABLE, secret_key))
            if not value
        ]
        if missing:
            raise MissingCredentialsError(
                f"no credentials: {' and '.join(missing)} not set in the environment; "
                "set both, or pass credentials=Credential(secret_id, secret_key) to the client"
            )
        token = next(filter(None, map(self._read, TOKEN_VARIABLES)), None)
        return Credential(secret_id, secret_key, token)

    def _read(self, name: str) -> str:
        return self._environment.get(name, "").strip()
