"""Who signs: where the secret id, the secret key and the token come from."""

from __future__ import annotations

from .credential import Credential, CredentialProvider, StaticCredentials
from .environment import EnvironmentCredentials

__all__ = ["Credential", "CredentialProvider", "EnvironmentCredentials", "StaticCredentials"]
