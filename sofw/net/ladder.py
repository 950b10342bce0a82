"""Which rung carries HRAC's tunnel: found by probing, remembered, and probed for again."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from sofw.net.client_probes import Probes
from sofw.net.http_wire import Route
from sofw.net.tunnel_end import TunnelEnd
from sofw.tunnel.proof import SessionKey
from sofw.tunnel.rungs import LADDER, Findings, Rung, best_rung, rung_named

#: Seconds until a better rung is probed for. One run costs some connections and 100 kB.
CLIMB_PAUSE = 3600.0
#: So many openings in a row that carry nothing, and the rung is in doubt.
FAILURES = 3


class Ladder:
    """Chooses the rung, or has no choice with `fixed`; what it finds it remembers in a file ("" for none)."""

    log = Logger("sofw")

    def __init__(self, reactor: Any, route: Route, file: str = "", fixed: Rung | None = None) -> None:
        self.rung = fixed
        self._reactor = reactor
        self._route = route
        self._fixed = fixed is not None
        self._memory = Memory(file)
        self._runs = 0
        self._failures = 0
        #: Whether the rung has carried frames in this run of the program.
        self._proven = False
        #: Rungs that probing found good and that carried nothing all the same.
        self._avoid: set[Rung] = set()

    @property
    def name(self) -> str:
        """The name of the rung, for the operator."""
        return self.rung.name if self.rung else "unknown"

    async def settle(self, key: SessionKey) -> Rung:
        """The rung for the next opening."""
        if self.rung is None:
            remembered = rung_named(self._memory.recall(self._route))
            if remembered is not None:
                self._choose(remembered, "remembered")
            else:
                await self._probe(key, "probed for the first time")
        elif not self._fixed and self._failures >= (FAILURES if self._proven else 1):
            await self._probe(key, f"{self._failures} failures")
        return self.rung or LADDER[-1]

    def opened(self, carried: bool) -> None:
        """An opening of lanes is lost; whether it carried frames before."""
        self._failures = 0 if carried else self._failures + 1
        self._proven = self._proven or carried

    def start_climbing(self, key: SessionKey, end: TunnelEnd) -> Deferred[None]:
        """Look for a better rung from time to time, and never during a call; cancelled with the session."""
        climbing = Deferred.fromCoroutine(self._climb(key, end))
        return climbing.addErrback(self._stopped)

    async def _climb(self, key: SessionKey, end: TunnelEnd) -> None:
        while not (self._fixed or end.closed):
            await deferLater(self._reactor, CLIMB_PAUSE)
            before = self.rung
            if before is None or before is LADDER[0] or end.busy:
                continue
            self._avoid.clear()
            findings = await self._findings(key)
            better = best_rung(findings) if findings else before
            if not end.busy and LADDER.index(better) < LADDER.index(before):
                self._choose(better, f"better than {before.name}")
                end.lost(f"The rung {better.name} is better")

    def _stopped(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self.log.failure("tunnel.climb_failed", failure=failure)

    async def _probe(self, key: SessionKey, reason: str) -> None:
        findings = await self._findings(key)
        if findings is None:
            # Nothing passes, so nothing is known either; what was good may be so again.
            self.log.warn("tunnel.probes_lost route={route}", route=self._route.name)
            return
        if self.rung is not None and self._failures >= 2 * FAILURES:
            self._avoid.add(self.rung)
        self._choose(best_rung(findings, self._avoid), reason)

    async def _findings(self, key: SessionKey) -> Findings | None:
        self._runs += 1
        return await Probes(self._reactor, self._route, key, self._runs).run()

    def _choose(self, rung: Rung, reason: str) -> None:
        self._memory.remember(self._route, rung.name)
        if rung is self.rung:
            return
        self.rung, self._proven, self._failures = rung, False, 0
        self.log.info(
            "tunnel.rung rung={rung} route={route} reason={reason}",
            rung=rung.name,
            route=self._route.name,
            reason=reason,
        )


class Memory:
    """The rung of each route, in a JSON file ("" for none); when that is out of reach, done without."""

    log = Logger("sofw")

    def __init__(self, file: str) -> None:
        self._file = file
        self._complained = False

    def recall(self, route: Route) -> object:
        """What was remembered for a route; None for nothing."""
        return self._read().get(route.name) if self._file else None

    def remember(self, route: Route, name: str) -> None:
        """Write a rung's name, so that a crash leaves the old file or the new one."""
        known = self._read() if self._file else {}
        if not self._file or known.get(route.name) == name:
            return
        part = f"{self._file}.new"
        try:
            os.makedirs(os.path.dirname(self._file), exist_ok=True)
            with open(part, "w", encoding="utf-8") as file:
                json.dump({**known, route.name: name}, file, indent=1)
            os.replace(part, self._file)
        except OSError as error:
            self._complain(error)

    def _read(self) -> dict[str, object]:
        try:
            with open(self._file, encoding="utf-8") as file:
                known = json.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self._complain(error)
            return {}
        return known if isinstance(known, dict) else {}

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            self.log.warn(
                "tunnel.rung_unremembered file={file} reason={reason}", file=self._file, reason=str(error)
            )
