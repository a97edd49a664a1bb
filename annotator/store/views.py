"""The views that SQL users are promised, always of the active labelling; the same text on SQLite and Postgres.

They say ``labelling_id = (SELECT labelling_id FROM active)``, not a join: Postgres then leaves the partitions of other
labellings alone. Counts are read from what ``annotator.store.rollups`` has rolled up; labels of somebody who was merged
are summed up with those of who took over. ``media_states`` reads the counters of ``annotator.store.queue.counts``.
``is_picture`` is never NULL, so that NOT leaves out nobody whose faces were not measured.
"""

from typing import Final

VIEWS: Final[dict[str, str]] = {
    "content_labels": """
SELECT s.uri || m.key AS media_uri,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       l.confidence AS confidence,
       l.first_ms AS first_seen_ms,
       l.last_ms AS last_seen_ms,
       l.screen_ms AS screen_time_ms,
       (SELECT b.model FROM labellings b WHERE b.id = l.labelling_id) AS model,
       l.labelled_at AS annotated_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       l.identity_id AS identity_id,
       l.content_id AS content_id,
       coalesce((SELECT min(CASE WHEN t.is_picture THEN 1 ELSE 0 END)
                 FROM track_labels k
                 JOIN identities o ON o.id = k.identity_id AND o.survivor_id = a.survivor_id
                 JOIN tracks t ON t.content_id = k.content_id AND t.track_no = k.track_no
                              AND t.network_id = (SELECT network_id FROM active)
                 WHERE k.labelling_id = (SELECT labelling_id FROM active)
                   AND k.content_id = l.content_id), 0) = 1 AS is_picture
FROM content_labels_by l
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = l.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE l.labelling_id = (SELECT labelling_id FROM active)
""",
    "identity_counts": """
SELECT i.name AS identity,
       i.kg_mid AS kg_mid,
       CAST(sum(c.media) AS bigint) AS media,
       CAST(sum(c.contents) AS bigint) AS contents,
       CAST(sum(c.screen_ms) AS bigint) AS screen_time_ms,
       max(c.best_confidence) AS best_confidence,
       (SELECT r.as_of FROM roll_ups r WHERE r.labelling_id = (SELECT labelling_id FROM active)) AS as_of
FROM identity_counts_by c
JOIN identities a ON a.id = c.identity_id
JOIN identities i ON i.id = a.survivor_id
WHERE c.labelling_id = (SELECT labelling_id FROM active)
GROUP BY i.id, i.name, i.kg_mid
""",
    "co_appearances": """
SELECT i.name AS identity,
       j.name AS other_identity,
       CAST(sum(c.media) AS bigint) AS media,
       CAST(sum(c.contents) AS bigint) AS contents,
       (SELECT r.as_of FROM roll_ups r WHERE r.labelling_id = (SELECT labelling_id FROM active)) AS as_of
FROM co_appearances_by c
JOIN identities a ON a.id = c.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN identities b ON b.id = c.other_identity_id
JOIN identities j ON j.id = b.survivor_id
WHERE c.labelling_id = (SELECT labelling_id FROM active) AND i.id <> j.id
GROUP BY i.id, i.name, j.id, j.name
""",
    "unknown_tracks": """
SELECT s.uri || m.key AS media_uri,
       t.track_no AS track,
       t.first_ms AS first_seen_ms,
       t.last_ms AS last_seen_ms,
       t.screen_ms AS screen_time_ms,
       t.faces AS faces,
       t.face_px AS face_px,
       t.quality AS quality,
       (SELECT b.model FROM labellings b WHERE b.id = c.labelling_id) AS model,
       c.labelled_at AS annotated_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       coalesce(t.is_picture, false) AS is_picture
FROM tracks t
JOIN labelled_contents c ON c.content_id = t.content_id AND c.labelling_id = (SELECT labelling_id FROM active)
JOIN media m ON m.content_id = t.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE t.network_id = (SELECT network_id FROM active)
  AND NOT EXISTS (SELECT 1 FROM track_labels k
                  WHERE k.labelling_id = (SELECT labelling_id FROM active)
                    AND k.content_id = t.content_id AND k.track_no = t.track_no)
""",
    "failures": """
SELECT s.uri || m.key AS media_uri,
       CASE w.state WHEN 4 THEN 'quarantined' ELSE 'failed' END AS status,
       w.reason AS reason,
       w.message AS message,
       w.attempts - w.losses AS attempts,
       w.finished_at AS failed_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id
FROM work w
JOIN media m ON m.id = w.media_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE w.network_id = (SELECT network_id FROM active) AND w.state >= 3
""",
    "media_states": """
SELECT CASE n.state WHEN 0 THEN 'pending' WHEN 1 THEN 'claimed' WHEN 2 THEN 'done' WHEN 3 THEN 'failed'
       ELSE 'quarantined' END AS status,
       CASE n.reason WHEN '' THEN NULL ELSE n.reason END AS reason,
       n.lane AS lane,
       CAST(sum(n.media) AS bigint) AS media
FROM (SELECT state, reason, lane, media FROM work_counts WHERE network_id = (SELECT network_id FROM active)
      UNION ALL
      SELECT state, reason, lane, media FROM work_deltas WHERE network_id = (SELECT network_id FROM active)) n
GROUP BY n.state, n.reason, n.lane
HAVING sum(n.media) <> 0
""",
    "relabelling_runs": """
SELECT r.id AS run,
       b.model AS model,
       f.model AS from_model,
       r.started_at AS started_at,
       r.finished_at AS finished_at,
       CASE WHEN r.finished_at IS NOT NULL OR r.last_content_id <= r.first_content_id THEN 1.0
            WHEN r.after_content_id >= r.last_content_id THEN 1.0
            ELSE (r.after_content_id - r.first_content_id) * 1.0 / (r.last_content_id - r.first_content_id)
       END AS share_done,
       r.contents AS contents,
       r.tracks AS tracks,
       r.labels AS labels,
       r.tracks_added AS tracks_added,
       r.tracks_dropped AS tracks_dropped,
       r.tracks_flipped AS tracks_flipped
FROM relabellings r
JOIN labellings b ON b.id = r.labelling_id
LEFT JOIN labellings f ON f.id = r.from_labelling_id
""",
    "model_history": """
SELECT p.id AS step,
       p.happened_at AS happened_at,
       p.kind AS kind,
       b.model AS model,
       f.model AS former_model,
       p.done_by AS done_by,
       p.forced_reason AS forced_reason,
       p.tracks_added AS tracks_added,
       p.tracks_dropped AS tracks_dropped,
       p.tracks_flipped AS tracks_flipped,
       CASE WHEN p.id = (SELECT max(q.id) FROM promotions q WHERE q.kind <> 'refusal')
                 AND p.labelling_id = (SELECT labelling_id FROM active) THEN 1 ELSE 0 END AS is_shown
FROM promotions p
JOIN labellings b ON b.id = p.labelling_id
LEFT JOIN labellings f ON f.id = p.from_labelling_id
""",
    "retraining_history": """
SELECT r.id AS retraining,
       r.experiment AS experiment,
       r.cause AS cause,
       r.model AS model,
       r.started_at AS started_at,
       r.finished_at AS finished_at,
       r.step AS step,
       r.outcome AS outcome,
       r.reason AS reason
FROM retrainings r
""",
    "stranger_groups": """
SELECT s.group_no AS stranger,
       (SELECT i.name FROM identities a JOIN identities i ON i.id = a.survivor_id
        WHERE a.id = g.identity_id) AS identity,
       s.contents AS contents,
       s.media AS media,
       s.tracks AS tracks,
       s.named_tracks AS named_tracks,
       s.screen_ms AS screen_time_ms,
       s.face_px AS face_px,
       s.first_annotated_at AS first_annotated_at,
       s.last_annotated_at AS last_annotated_at
FROM (SELECT c.group_no,
             CAST(sum(CASE WHEN c.tracks > 0 THEN 1 ELSE 0 END) AS bigint) AS contents,
             CAST(sum(CASE WHEN c.tracks > 0 THEN h.media ELSE 0 END) AS bigint) AS media,
             CAST(sum(c.tracks) AS bigint) AS tracks,
             CAST(sum(c.named_tracks) AS bigint) AS named_tracks,
             CAST(sum(c.screen_ms * h.media) AS bigint) AS screen_ms,
             max(c.face_px) AS face_px,
             min(n.annotated_at) AS first_annotated_at,
             max(n.annotated_at) AS last_annotated_at
      FROM (SELECT a.survivor_no AS group_no,
                   b.content_id,
                   count(*) - count(k.track_no) AS tracks,
                   count(k.track_no) AS named_tracks,
                   sum(CASE WHEN k.track_no IS NULL THEN t.screen_ms ELSE 0 END) AS screen_ms,
                   max(CASE WHEN k.track_no IS NULL THEN t.face_px END) AS face_px
            FROM grouped_tracks b
            JOIN track_groups a ON a.network_id = b.network_id AND a.group_no = b.group_no
            JOIN tracks t ON t.network_id = b.network_id AND t.content_id = b.content_id AND t.track_no = b.track_no
            LEFT JOIN track_labels k ON k.labelling_id = (SELECT labelling_id FROM active)
                                    AND k.content_id = b.content_id AND k.track_no = b.track_no
            WHERE b.network_id = (SELECT network_id FROM active)
            GROUP BY a.survivor_no, b.content_id) c
      JOIN (SELECT content_id, count(*) AS media FROM media
            WHERE content_id IS NOT NULL AND deleted_at IS NULL GROUP BY content_id) h ON h.content_id = c.content_id
      JOIN annotations n ON n.network_id = (SELECT network_id FROM active) AND n.content_id = c.content_id
      GROUP BY c.group_no
      HAVING sum(c.tracks) > 0) s
JOIN track_groups g ON g.network_id = (SELECT network_id FROM active) AND g.group_no = s.group_no
""",
    "stranger_tracks": """
SELECT g.survivor_no AS stranger,
       s.uri || m.key AS media_uri,
       b.track_no AS track,
       (SELECT i.name FROM track_labels k JOIN identities a ON a.id = k.identity_id
        JOIN identities i ON i.id = a.survivor_id
        WHERE k.labelling_id = (SELECT labelling_id FROM active)
          AND k.content_id = b.content_id AND k.track_no = b.track_no) AS identity,
       t.first_ms AS first_seen_ms,
       t.last_ms AS last_seen_ms,
       t.screen_ms AS screen_time_ms,
       t.face_px AS face_px,
       t.quality AS quality,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       b.content_id AS content_id
FROM grouped_tracks b
JOIN track_groups g ON g.network_id = b.network_id AND g.group_no = b.group_no
JOIN tracks t ON t.network_id = b.network_id AND t.content_id = b.content_id AND t.track_no = b.track_no
JOIN media m ON m.content_id = b.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE b.network_id = (SELECT network_id FROM active)
""",
    "duplicate_media": """
SELECT f.family_id AS family,
       s.uri || m.key AS media_uri,
       f.changes AS changes,
       f.likeness AS likeness,
       (SELECT o.uri || n.key FROM media n JOIN sources o ON o.id = n.source_id
        WHERE n.id = (SELECT min(p.id) FROM media p WHERE p.content_id = f.like_content_id AND p.deleted_at IS NULL)
       ) AS like_uri,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       f.content_id AS content_id
FROM content_families f
JOIN media m ON m.content_id = f.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
""",
    "family_labels": """
SELECT f.family_id AS family,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       max(l.confidence) AS confidence,
       count(DISTINCT l.content_id) AS contents,
       (SELECT count(*) FROM content_families g WHERE g.family_id = f.family_id) AS family_contents
FROM content_families f
JOIN content_labels_by l ON l.content_id = f.content_id AND l.labelling_id = (SELECT labelling_id FROM active)
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
GROUP BY f.family_id, i.id, i.name, i.kg_mid
""",
    "track_corrections": """
SELECT s.uri || m.key AS media_uri,
       CASE WHEN c.network_id = (SELECT network_id FROM active) THEN c.track_no END AS track,
       c.verdict AS verdict,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       c.said_by AS said_by,
       c.said_at AS said_at,
       c.withdrawn_by AS withdrawn_by,
       c.withdrawn_at AS withdrawn_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       c.content_id AS content_id,
       c.id AS correction
FROM corrections c
JOIN identities a ON a.id = c.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = c.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
""",
}
