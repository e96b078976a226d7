"""Where photos are sent, and who signs: the service, or a sandbox for one run."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._client import DEFAULT_DEADLINE, LivenessClient
from .._credentials import Credential, CredentialProvider, EnvironmentCredentials, StaticCredentials
from .._errors import ConfigurationError, MissingCredentialsError
from .._protocol.endpoint import DEFAULT_ENDPOINT
from ._context import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .._events import Hook
    from ._options import ServiceOptions


@dataclass(frozen=True, slots=True)
class Service:
    """Where photos are sent, and who signs.

    Attributes:
        endpoint: The address.
        credentials: The key pair.
        trust_env: Whether the environment's proxy counts.
    """

    endpoint: str
    credentials: CredentialProvider
    trust_env: bool = True

    async def check_credentials(self) -> None:
        """Look whether there is a key pair, so that nothing is begun without one.

        Raises:
            CommandError: There is none, or it has characters that no key has.
        """
        try:
            await self.credentials.get()
        except MissingCredentialsError as error:
            reason = str(error).partition(";")[0]
            raise CommandError(
                f"{reason}; set them, or try --sandbox, which needs no account", ExitCode.ACCOUNT
            ) from error
        except ConfigurationError as error:
            raise CommandError(str(error), ExitCode.ACCOUNT) from error


def open_service(
    options: ServiceOptions, environment: Mapping[str, str], *, say: Callable[[str], None] | None
) -> AbstractContextManager[Service]:
    """Return where the options send photos; a sandbox is started for the block, and said."""
    if options.sandbox:
        return open_sandbox(say)
    return nullcontext(Service(options.endpoint or DEFAULT_ENDPOINT, EnvironmentCredentials(environment)))


def make_client(service: Service, options: ServiceOptions, *, hooks: Sequence[Hook] = ()) -> LivenessClient:
    """Return a client of the service.

    Raises:
        ConfigurationError: An option is out of its range.
    """
    return LivenessClient(
        credentials=service.credentials,
        endpoint=service.endpoint,
        region=options.region,
        model_version=options.model_version,
        threshold=options.threshold,
        rate=options.rate,
        max_concurrency=options.max_concurrency,
        deadline=options.deadline or DEFAULT_DEADLINE,
        trust_env=service.trust_env,
        hooks=hooks,
    )


@contextmanager
def open_sandbox(say: Callable[[str], None] | None) -> Iterator[Service]:
    """Start a sandbox on a free port of this machine, and say so.

    Raises:
        ConfigurationError: The sandbox's extra is not installed.
    """
    from ..sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY, SandboxServer

    with SandboxServer() as server:
        if say is not None:
            say(f"sandbox at {server.endpoint}: it judges nothing, its scores say nothing about a face")
        credentials = StaticCredentials(Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY))
        yield Service(server.endpoint, credentials, trust_env=False)
