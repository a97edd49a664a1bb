"""Do measures tell a living face from a picture of one, and from a drawn one?

    python -m benchmarks.aliveness                        # ../shared/data
    python -m benchmarks.aliveness DATA --sheets FOLDER   # and the faces of all tracks, as PNG

Clips drawn by annotator.accuracy cannot show it: their living faces are photographs that move. So all comes from the
real clips:

- live: tracks of the clips as they are, of three faces or more, but for those named below;
- every: the same with every frame looked at: the faces that are compared are then nearer to each other in time;
- poster: a photograph pasted into the clips' frames, which moves with what the camera shows;
- held: another one that is moved about, turned, and nearer and farther, as by a hand;
- still: a frame with a living face, shown as a clip: half of them come nearer, half have a caption that comes and goes;
- small: the faces of the live tracks, as if they were 32 pixels wide: of little movements less is left;
- filtered: the same, made into drawings, with lines or without; each face by itself, as nobody draws who animates;
- drawn: the three tracks of the clips that show faces drawn by people.

Frames with something pasted go through a GIF's palette afterwards, or through JPEG's blocks, and faces are looked for
around the place only; from there they are treated as those of any track. Limits are chosen on one half of the clips and
reported on the other. Every share has an interval of 95 %. There are no clips of figures of wax, of screens and of real
posters, and two people with masks or make-up like it.
"""
