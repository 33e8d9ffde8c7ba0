"""The Docker engines of a session: the one that the docker command finds, or those that `--engines` names.

A session works on one of them at a time. When that one is lost it goes on on the next, and its name is never used
again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from docker.context import Context, ContextAPI
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import lifecycle, remote
from harness.engine import Engine
from harness.errors import ConfigurationError, EngineUnavailableError, HarnessError
from harness.model import Budget
from harness.waiting import wait_until_or_last

Say = Callable[[str], None]

OPTION = "--engines"
_BACK = Budget(seconds=20, poll=0.5, reason="an engine that is restarted answers again within seconds")
_REACHED = ("ssh://", "unix://")


class Engines:
    """The engines by their addresses, of which the one of this number comes first; none: the docker command's own."""

    def __init__(self, addresses: Sequence[str] = (), first: int = 0, *, say: Say) -> None:
        by_name = dict(zip(remote.names_of(addresses, option=OPTION), addresses, strict=True))
        names = list(by_name)
        turn = first % len(names) if names else 0
        self._addresses = {name: by_name[name] for name in (*names[turn:], *names[:turn])}
        self._say = say
        self._lost: dict[str, str] = {}
        self._exit = ExitStack()
        self._open: tuple[str, Engine] | None = None
        self._supplier: Engine | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The machines of the engines, the session's own first; none where they were not named."""
        return tuple(self._addresses)

    @property
    def at_work(self) -> str | None:
        """The machine of the engine that is in use, where it was named."""
        return self._open[0] if self._open else None

    def current(self) -> Engine:
        """The engine to work on; raises `EngineUnavailableError` when none answers, or none is left."""
        if not self._addresses:
            return Engine.connect()
        while self._open is None:
            name = next((name for name in self._addresses if name not in self._lost), None)
            if name is None:
                raise EngineUnavailableError(f"no engine is left: {_joined(self._lost)}")
            try:
                self._open = name, self._exit.enter_context(self._opened(name))
            except EngineUnavailableError as error:
                self.leave(name, str(error))
        return self._open[1]

    def every(self) -> Iterator[Engine]:
        """Each engine once, to be prepared; raises `EngineUnavailableError` for one that does not answer."""
        if not self._addresses:
            yield Engine.connect()
        for name in self._addresses:
            with self._opened(name) as engine:
                yield engine

    def loss(self) -> str | None:
        """Why the engine in use is lost, once that is certain; None while it answers."""
        if self._open is None:
            return None
        _name, engine = self._open
        return wait_until_or_last(
            lambda: engine.machine.gone() or engine.silence(),
            lambda reason: reason is None or reason == engine.machine.gone(),
            within=_BACK,
        )

    def leave(self, name: str, reason: str) -> None:
        """Never use that engine again."""
        self._lost[name] = reason
        self._open = None
        self._exit.close()
        left = [each for each in self._addresses if each not in self._lost]
        self._say(f"the engine of {name} is lost ({reason}); {f'going on on {left[0]}' if left else 'none is left'}")

    def close(self) -> None:
        """Let go of all engines. On those that were lost what is this session's is removed, where they are back."""
        self._exit.close()
        self._open = None
        for name in self._lost:
            try:
                with self._opened(name) as engine:
                    lifecycle.remove_own(engine, say=self._say)
            except (HarnessError, DockerException, RequestException, OSError):
                self._say(f"what this run had on the engine of {name} is removed by the next run that uses it")

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[Engine]:
        with remote.engines([self._addresses[name]], option=OPTION) as (engine,):
            engine.name = ""  # of a deployment it is the only one
            if silence := engine.silence():
                raise EngineUnavailableError(f"the Docker engine of {name} cannot be used: {silence}")
            try:
                engine.supplier = None if engine.machine.here else self._supplier_of(engine)
            except (DockerException, RequestException) as error:
                raise EngineUnavailableError(f"the Docker engine of {name} stopped answering: {error}") from error
            yield engine

    def _supplier_of(self, engine: Engine) -> Engine | None:
        """This machine's own engine, whose images are the same everywhere then; where it has one of the same kind."""
        wanted = _platform(engine)
        try:
            self._supplier = self._supplier or Engine.connect()
            return self._supplier if _platform(self._supplier) == wanted else None
        except (EngineUnavailableError, DockerException, RequestException):
            return None  # also one that has ended since: the other engine makes its images itself then


def addresses(words: str) -> tuple[str, ...]:
    """The addresses of engines, each given as such or as a docker context, with commas between.

    Raises `ConfigurationError` for what is neither, is named twice, or is reached by other ways than SSH.
    """
    found = tuple(_address(word.strip()) for word in words.split(",") if word.strip())
    if not found:
        raise ConfigurationError(f"{OPTION} names no engine: it takes such as ssh://root@a,ssh://root@b")
    remote.names_of(found, option=OPTION)
    for address in found:
        if not address.startswith(_REACHED):
            message = (
                f"{OPTION} {address}: ports are published on the loopback of the engine's machine, which only SSH "
                "reaches; give it as ssh://USER@HOST"
            )
            raise ConfigurationError(message)
    return found


def _address(word: str) -> str:
    if "://" in word:
        return word
    context: Context | None = ContextAPI.get_context(word)
    host = str(context.Host or "") if context else ""
    if not host:
        message = (
            f"{OPTION} {word} is neither an engine's address nor a docker context: `docker context ls` shows those"
        )
        raise ConfigurationError(message)
    return f"unix://{host.partition('://')[2]}" if host.startswith("http+unix://") else host


def _platform(engine: Engine) -> tuple[str, str]:
    about = engine.client.info()
    return str(about.get("OSType")), str(about.get("Architecture"))


def _joined(reasons: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
