"""Models for tests of the web application: one more that has labelled the archive, and the history of both."""

from annotator.store import Store
from annotator.store.models import note_model
from annotator.store.promotions import Reasons, note_refusal
from annotator.store.retrainings import begin_retraining, begin_step, end_retraining, end_step
from tests.store_values import ADA, BEN, CAT, PEOPLE, SPEC, known, unknown

MANIFEST = {
    "name": "mine",
    "version": 2,
    "metrics": {
        "by_face_size": {
            "112_px": {"rank_1": 0.99, "fpir_0.01": {"tpir": 0.97}, "fpir_0.001": {"tpir": 0.95}},
            "32_px": {"rank_1": 0.9, "fpir_0.01": {"tpir": 0.7}, "fpir_0.001": {"tpir": 0.62}},
        }
    },
}


def add_models(store: Store) -> int:
    """Let ``mine@2`` label the archive of ``web_archive.fill``; the gate has refused it, a retraining has made it.

    It gives Ben's track in ``apart.gif`` to Catherine, takes Ada's name away in ``ada.mp4``, and names the stranger.

    Returns:
        Its labelling.

    """
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="mine@2", digest="e", photographs=dict.fromkeys(PEOPLE, 3)
    )
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT content_id FROM labelled_contents WHERE labelling_id = 1").scalars()
        both, apart, ada = sorted(rows)
    store.save_labels(labelling_id, {both: [known(ADA), known(BEN)]})
    store.save_labels(labelling_id, {apart: [known(ADA), known(CAT)]})
    store.save_labels(labelling_id, {ada: [unknown(ADA), known(BEN)]})
    check = {"name": "flipped", "passed": False, "found": "1 of 5 named tracks get another name (20.00%; 1.00% may)"}
    report = {
        "model": "mine@2",
        "former": "test@1",
        "passed": False,
        "checks": [check],
        "golden": None,
        "archive": None,
    }
    with store.writing() as connection:
        note_model(connection, digest="e", uri="s3://models/mine@2", manifest=MANIFEST)
        note_refusal(connection, labelling_id, shown=1, reasons=Reasons(report, None, 1, 1, 1, "eve"))
        run = begin_retraining(
            connection, experiment="example", cause="schedule", news={"photographs": "ab" * 32}, model="mine@2"
        )
        run = end_step(connection, begin_step(connection, run, "prepare"), seconds=12.5)
        end_retraining(connection, begin_step(connection, run, "promote"), "held", reason="the gate refuses it")
        begin_retraining(connection, experiment="example", cause="command", news={}, model="mine@3")
    return labelling_id
