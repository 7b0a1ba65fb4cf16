"""Records a running loop. What goes wrong here ends the recording, never the loop."""

from __future__ import annotations

import logging
from pathlib import Path

from autoscaler.replay.recording.files import Writer
from autoscaler.replay.recording.moment import Moment

log = logging.getLogger(__name__)


class Recorder:
    """Writes moments until `most_megabytes` (of text, before packing) are full."""

    def __init__(self, path: Path, most_megabytes: float) -> None:
        """Raises OSError if the file cannot be written."""
        self._writer: Writer | None = Writer(path)
        self._most_characters = 1_000_000 * most_megabytes

    def write(self, moment: Moment) -> None:
        """Add a moment."""
        if self._writer is None:
            return
        try:
            self._writer.write(moment)
        except (OSError, ValueError) as error:
            log.warning("the recording %s ends early: %s", self._writer.path, error)
            self.close()
            return
        if self._writer.characters >= self._most_characters:
            log.warning("the recording %s is full and complete", self._writer.path)
            self.close()

    def close(self) -> None:
        """Complete the file; a second time does nothing."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except OSError as error:
            log.warning("the recording %s is not complete: %s", writer.part, error)
