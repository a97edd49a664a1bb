"""The command lines of the decoder."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from annotator.errors import UndecodableMediaError
from annotator.media.gif import DEFAULT_DELAY_CS, MIN_DELAY_CS
from annotator.media.limits import DecodeLimits
from annotator.media.records import DEFAULT_ANIMATION_MS, MIN_ANIMATION_MS
from annotator.media.sniff import MediaFormat

# Chroma is interpolated, exactly in a photograph (within 3 of Pillow's values, not 44), quickly in a video (a third of
# the time).
_CONVERT_STILL = ("-sws_flags", "bilinear+full_chroma_int+accurate_rnd")
_CONVERT = ("-sws_flags", "bilinear")
_TIMES = ("-fps_mode", "passthrough", "-enc_time_base", "demux")
# The delays that browsers show; ffmpeg's own defaults for GIF, but written down here since we promise them.
_DEMUXER_OPTIONS = {
    "gif": ("-min_delay", str(MIN_DELAY_CS), "-default_delay", str(DEFAULT_DELAY_CS)),
    "webp_anim": ("-min_delay", str(MIN_ANIMATION_MS), "-default_delay", str(DEFAULT_ANIMATION_MS)),
    "apng": ("-default_fps", "10"),
}
# Up to this many frames are named one after the other; more by halving, so that a frame costs log N comparisons.
_FLAT_SELECTION = 24

ArgsBuilder = Callable[[int, int], Sequence[str]]


def _input(form: MediaFormat, limits: DecodeLimits, media: int, seek: Sequence[str] = ()) -> list[str]:
    """Only the descriptor of the media may be opened, by the one demuxer, whatever the media says.

    ``0:V:0``, used by all commands, is the first video stream that is not a cover picture.
    """
    turn = ["-noautorotate"] if form.orientation else []
    return [
        *("-nostdin", "-hide_banner", "-v", "error", "-filter_threads", "1", "-filter_complex_threads", "1"),
        *("-copyts", "-max_error_rate", "1"),  # Times as they are; one good frame is better than none.
        *("-threads", str(limits.threads), "-max_pixels", str(limits.max_pixels), *turn),
        *("-protocol_whitelist", "fd", "-f", form.demuxer, *_DEMUXER_OPTIONS.get(form.demuxer, ()), *seek),
        *("-fd", str(media), "-i", "fd:"),
    ]


def _frames_and_records(form: MediaFormat, records: int) -> list[str]:
    """Raw frames on the standard output and a line for each on the records' pipe."""
    return [
        *_TIMES,
        *(_CONVERT_STILL if form.kind == "still" else _CONVERT),
        *("-pix_fmt", "rgba" if form.has_alpha else "rgb24", "-c:v", "rawvideo", "-f", "tee"),
        f"[f=rawvideo]pipe:1|[f=framehash:hash=crc32:flush_packets=1]pipe:{records}",
    ]


def packets_only(form: MediaFormat, limits: DecodeLimits) -> ArgsBuilder:
    """Tell of all packets (time, duration, key or not) and decode nothing."""
    return lambda media, records: [
        *_input(form, limits, media),
        *("-map", "0:V:0", "-c", "copy", "-copyinkf", "-f", "framecrc", f"pipe:{records}"),
    ]


def all_frames(form: MediaFormat, limits: DecodeLimits) -> ArgsBuilder:
    """Deliver every frame with a line for each; of a still picture the first."""
    count = ["-frames:v", "1"] if form.kind == "still" else []
    return lambda media, records: [
        *_input(form, limits, media),
        *("-map", "0:V:0", *count),
        *_frames_and_records(form, records),
    ]


def chosen_frames(form: MediaFormat, limits: DecodeLimits, ticks: Sequence[int]) -> ArgsBuilder:
    """Deliver some frames, and a line for every frame whether delivered or not. Only the former are converted.

    Args:
        form: what the media is.
        limits: for the child.
        ticks: presentation times of the frames wanted, rising.

    """
    graph = f"[0:V:0]split[told][asked];[asked]select='{selection(ticks)}'[taken]"
    pixels = "rgba" if form.has_alpha else "rgb24"
    return lambda media, records: [
        *_input(form, limits, media),
        *("-filter_complex", graph, "-map", "[told]", *_TIMES, "-c:v", "rawvideo"),
        *("-f", "framehash", "-hash", "crc32", "-flush_packets", "1", f"pipe:{records}"),
        *("-map", "[taken]", *_TIMES, *_CONVERT, "-pix_fmt", pixels, "-c:v", "rawvideo", "-f", "rawvideo", "pipe:1"),
    ]


def sought_frames(
    form: MediaFormat, limits: DecodeLimits, ticks: Sequence[int], time_base: Fraction | None
) -> ArgsBuilder:
    """Deliver some frames of one stretch, beginning at the key frame before it, with a line for each.

    Frames are known by their exact time, so that it does not matter where the search lands, if only before them. The
    frame after the last one ends the run, should a wanted one be missing.

    Args:
        form: what the media is.
        limits: for the child.
        ticks: presentation times of the frames wanted, rising.
        time_base: seconds of a tick; None to begin at the start of the media.

    """
    seek: list[str] = []
    if time_base is not None:
        seek = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", f"{float(ticks[0] * time_base):.6f}"]
    chosen = f"select='{selection(ticks)}+gt(pts,{ticks[-1]})'"
    return lambda media, records: [
        *_input(form, limits, media, seek),
        *("-map", "0:V:0", "-vf", chosen, "-frames:v", str(len(ticks))),
        *_frames_and_records(form, records),
    ]


def selection(ticks: Sequence[int]) -> str:
    """Return ffmpeg's expression that is true for frames of these presentation times (rising).

    Raises:
        UndecodableMediaError: no time at all.

    """
    if not ticks:
        raise UndecodableMediaError("No frame was chosen.")
    if len(ticks) <= _FLAT_SELECTION:
        return "+".join(f"eq(pts,{tick})" for tick in ticks)
    middle = len(ticks) // 2
    return f"if(lt(pts,{ticks[middle]}),{selection(ticks[:middle])},{selection(ticks[middle:])})"
