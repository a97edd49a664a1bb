"""Errands: what takes a model or a whole archive is done by a process of its own, one at a time, and told to a page."""

import json
import logging
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from annotator.web.errors import WebError

_WAITS_S: Final = 20.0
_ANSWERS_WITHIN_S: Final = 180.0
_AT_ONCE: Final = 2  # one is under way, one waits: threads that wait for it bring no media to others
_TOLD: Final = 2000  # last bytes of what it says when it fails, for the log
_LOG: Final = logging.getLogger(__name__)


class Errand:
    """A program that reads a line of JSON, answers with one, and may go on after that.

    Each run loads the model anew, so there is one at a time, and its memory is free afterwards.
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: Mapping[str, Any],
        environment: Mapping[str, str],
        *,
        answers_within_s: float = _ANSWERS_WITHIN_S,
        waits_s: float = _WAITS_S,
    ) -> None:
        """Take what is started.

        Args:
            command: the program. A ``failure`` in its answer is a sentence for whoever asks.
            settings: values for ``load_settings``, which it is given with whatever is asked.
            environment: of the program.
            answers_within_s: after so long it is ended.
            waits_s: so long it waits for one that is under way.

        """
        self._command = command
        self._settings = settings
        self._environment = environment
        self._answers_within_s = answers_within_s
        self._waits_s = waits_s
        self._one = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def run(self, *, model: str, **asked: object) -> dict[str, Any]:
        """Do it, and return the answer.

        Args:
            model: as ``ANNOTATOR_MODEL`` has it.
            asked: JSON values.

        Raises:
            WebError: it says why it cannot be done, it fails, takes too long, or another one is under way.

        """
        if not self._places.acquire(blocking=False):
            raise _under_way()
        try:
            return self._run(model, asked)
        finally:
            self._places.release()

    def _run(self, model: str, asked: Mapping[str, object]) -> dict[str, Any]:
        if not self._one.acquire(timeout=self._waits_s):
            raise _under_way()
        try:
            told = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the program has ended
            process = subprocess.Popen(
                [*self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
                text=True,
                env=dict(self._environment),
            )
        except BaseException:
            self._one.release()
            raise
        answer, is_late = self._ask(process, json.dumps({"settings": {**self._settings, "model": model}, **asked}))
        end = threading.Thread(target=self._await_end, args=(process, told), name="errand", daemon=True)
        end.start()
        if is_late:
            raise WebError(503, "It took too long.", headers={"Retry-After": "60"})
        if not answer:
            end.join()
            raise WebError(500, "It went wrong; the log of the program says why.")
        found: dict[str, Any] = json.loads(answer)
        if "failure" in found:
            raise WebError(400, f"{str(found['failure']).rstrip('.')}.")
        return found

    def _ask(self, process: "subprocess.Popen[str]", line: str) -> tuple[str, bool]:
        """Return its answer, empty where there is none, and whether it had to be ended."""
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._answers_within_s, end)
        timer.start()
        try:
            if process.stdin is None or process.stdout is None:
                return "", False
            try:
                process.stdin.write(line + "\n")
                process.stdin.close()
            except BrokenPipeError:  # it has ended already
                return "", False
            return process.stdout.readline(), late.is_set()
        finally:
            timer.cancel()

    def _await_end(self, process: "subprocess.Popen[str]", told: IO[bytes]) -> None:
        try:
            with told:
                code = process.wait()
                if code:
                    told.seek(0, 2)
                    told.seek(max(0, told.tell() - _TOLD))
                    words = told.read().decode(errors="replace").strip()
                    _LOG.warning("%s ended with %d: %s", self._command[-1], code, words)
            if process.stdout is not None:
                process.stdout.close()
        finally:
            self._one.release()


def _under_way() -> WebError:
    return WebError(503, "Another one is under way: try again in a while.", headers={"Retry-After": "30"})
