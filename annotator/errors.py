"""Every error that the package raises on purpose.

    AnnotatorError
    ├── InputError           the media, photograph or argument is at fault; permanent
    │   ├── UnsupportedMediaError   "unsupported"    a format or stream that is not read
    │   ├── UndecodableMediaError   "undecodable"    claims to be media but cannot be decoded
    │   ├── MediaTooLargeError      "too_large"      over a limit of bytes, pixels, frames, duration or memory
    │   ├── DecodeTimeoutError      "decode_timeout" the decoder ran past its wall or CPU time
    │   ├── ForbiddenSourceError    "forbidden"      a source that may not be read (private address, protocol)
    │   ├── ArchivedSourceError     "archived"       an object that must be restored before it can be read (Glacier)
    │   ├── SourceNotFoundError     "not_found"      no such file, object or page
    │   ├── EnrollmentError         "enrollment"     a photograph that cannot stand for a person
    │   ├── IdentityError           "identity"       a name that nobody has, or that somebody else has
    │   ├── CorrectionError         "correction"     a track that is to be corrected and is not there
    │   ├── TakenDownError          "taken_down"     a person who must not be known any more
    │   ├── StrangerError           "stranger"       a group of strangers that is not there, or cannot be what is asked
    │   ├── AccountError            "account"        an account of the web application that is not there, or cannot be
    │   └── BacklogStoppedError     "stopped"        a backlog that was stopped takes nothing more
    ├── TransientError       "transient"   worth trying again later, with back-off
    │   ├── SourceUnavailableError  "source_unavailable"  time-out, 5xx or a broken transfer
    │   ├── BucketRefusedError      "bucket_refused"      a bucket that lets nothing be read: a right is missing
    │   ├── SourceChangedError      "source_changed"      the object is no longer the one registered
    │   ├── LocalDiskError          "local_disk"          this machine has no room for a temporary file
    │   ├── MachineLimitError       "machine_limit"       this machine lets no process be started, or no file opened
    │   ├── DecoderKilledError      "decoder_killed"      somebody else has killed the decoder: memory ran out
    │   ├── StoreUnavailableError   "store_unavailable"   the database does not answer
    │   ├── BrokerUnavailableError  "broker_unavailable"  the broker does not answer
    │   ├── DeviceMemoryError       "device_memory"       a network, or one input of it, does not fit into the device
    │   ├── DeadlineError           "deadline"            a media was not done within the time that a claim lasts
    │   ├── BusyError               "busy"                somebody else is at it: what only one may do at a time
    │   │   ├── ModelsBusyError         "models_busy"         … installs or promotes a model
    │   │   ├── RelabellingTakenError   "relabelling_taken"   … makes these labels
    │   │   └── GroupingTakenError      "grouping_taken"      … groups these tracks
    │   ├── BacklogTakenError       "taken"               another producer goes on with this part of a listing
    │   └── RegisteredMeanwhileError "meanwhile"          somebody else has registered the same objects just now
    ├── ChangedMeanwhileError "changed_meanwhile"  what was decided on is no longer so; a person decides again
    ├── ModelError           "model"       weights or a bundle that fail their checks; stops a worker
    └── ConfigError          "config"      settings that cannot work; refuses to start

The message is a sentence with the remedy. ``reason`` is short and stable: it is stored in the row of a media and
used as a metric label. Foreign errors are translated where they enter, ``from`` the original.
"""

from typing import ClassVar


class AnnotatorError(Exception):
    """The root. Catch this to catch everything that the package raises on purpose."""

    reason: ClassVar[str] = "error"
    details: tuple[str, ...] = ()
    """Told before the message, a line each: everything that is wrong, where that is more than one thing."""


class InputError(AnnotatorError):
    """The input is at fault; trying again cannot help."""

    reason = "input"


class UnsupportedMediaError(InputError):
    """A format, or a file without pictures, that is not read."""

    reason = "unsupported"


class UndecodableMediaError(InputError):
    """Bytes that are no media, or not a single frame of which can be decoded."""

    reason = "undecodable"


class MediaTooLargeError(InputError):
    """Over a limit: bytes, pixels of a frame, frames, duration or decoder memory."""

    reason = "too_large"


class DecodeTimeoutError(InputError):
    """The decoder ran past its wall or CPU time."""

    reason = "decode_timeout"


class ForbiddenSourceError(InputError):
    """A source that may not be read: a private address, a protocol that is not allowed."""

    reason = "forbidden"


class ArchivedSourceError(InputError):
    """An object in an archive class of its bucket (Glacier, Deep Archive): it cannot be read before it is restored."""

    reason = "archived"


class SourceNotFoundError(InputError):
    """No such file, object or page."""

    reason = "not_found"


class EnrollmentError(InputError):
    """A photograph that cannot stand for a person: no face, several, or somebody else's."""

    reason = "enrollment"


class IdentityError(InputError):
    """A name that nobody has, that several have, or that somebody else has already.

    Attributes:
        name: the name in question.
        suggestions: known names near to it, nearest first.

    """

    reason = "identity"

    def __init__(self, message: str, *, name: str, suggestions: tuple[str, ...] = ()) -> None:
        """Keep the facts beside the sentence."""
        super().__init__(message)
        self.name = name
        self.suggestions = suggestions


class CorrectionError(InputError):
    """A track that is not there, or of which nothing was said that could be withdrawn."""

    reason = "correction"


class TakenDownError(InputError):
    """Somebody who was taken down was to be learnt again. The message does not say who."""

    reason = "taken_down"


class StrangerError(InputError):
    """A group of strangers that is not there, tracks that are not in it, or groups that cannot be one."""

    reason = "stranger"


class AccountError(InputError):
    """An account of the web application that is not there, a name or password that cannot be one."""

    reason = "account"


class BacklogStoppedError(InputError):
    """A backlog that was stopped, by hand, by its deadline or by its budget, takes nothing more."""

    reason = "stopped"


class TransientError(AnnotatorError):
    """Worth trying again later."""

    reason = "transient"


class SourceUnavailableError(TransientError):
    """A time-out, a server error or a transfer that broke off."""

    reason = "source_unavailable"


class BucketRefusedError(TransientError):
    """A bucket that has let nothing be read, or nothing lately: a right is missing, and no object is at fault."""

    reason = "bucket_refused"


class SourceChangedError(TransientError):
    """The object is no longer the one that was registered; it must be registered anew."""

    reason = "source_changed"


class LocalDiskError(TransientError):
    """A temporary file cannot be made or written: this machine's disk is full, or refuses."""

    reason = "local_disk"


class MachineLimitError(TransientError):
    """This machine lets no more processes or threads be started, or no more files be opened."""

    reason = "machine_limit"


class DecoderKilledError(TransientError):
    """The decoder was killed from outside, as the kernel does when memory runs out; no media can do that by itself."""

    reason = "decoder_killed"


class StoreUnavailableError(TransientError):
    """The database does not answer."""

    reason = "store_unavailable"


class BrokerUnavailableError(TransientError):
    """The broker does not answer, or takes no more messages."""

    reason = "broker_unavailable"


class DeviceMemoryError(TransientError):
    """A network, or a single input of it, does not fit into the memory of the device that runs it."""

    reason = "device_memory"


class DeadlineError(TransientError):
    """A media was not done within the time that a claim lasts; on another machine, or later, it may be."""

    reason = "deadline"


class BusyError(TransientError):
    """Somebody else is at it, and only one may be at a time. Programs end with an exit code of its own."""

    reason = "busy"


class ModelsBusyError(BusyError):
    """Somebody else installs or promotes a model just now."""

    reason = "models_busy"


class RelabellingTakenError(BusyError):
    """Another process makes the labels of this labelling just now."""

    reason = "relabelling_taken"


class GroupingTakenError(BusyError):
    """Another process changes the groups of strangers of this network just now."""

    reason = "grouping_taken"


class BacklogTakenError(TransientError):
    """Another producer goes on with this part of a listing."""

    reason = "taken"


class RegisteredMeanwhileError(TransientError):
    """Somebody else has registered some of the same objects between two looks; the transaction can be run again."""

    reason = "meanwhile"


class ChangedMeanwhileError(AnnotatorError):
    """What a person or a gate has decided on is no longer so. A program must not decide again by trying again."""

    reason = "changed_meanwhile"


class ModelError(AnnotatorError):
    """Weights or a model bundle that fail their checks. A worker stops on it."""

    reason = "model"


class ConfigError(AnnotatorError):
    """Settings that cannot work. A process refuses to start on it."""

    reason = "config"
