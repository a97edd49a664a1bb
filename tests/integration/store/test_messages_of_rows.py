"""What rows keep of errors holds no secret, whatever an error says; on both databases."""

import dataclasses

from sqlalchemy import insert, select, text

from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.queue.deliveries import give_up, postpone, receiver_fails
from annotator.store.retrainings import begin_retraining, end_retraining
from annotator.store.tables import outbox
from tests.store_values import PEOPLE, SPEC, annotation, failure, ref

SECRET = "https://ann:pa55@host/a.gif?X-Amz-Signature=f00d answers 500"  # noqa: S105 - of nobody
HIDDEN = "https://ann:***@host/a.gif?X-Amz-Signature=*** answers 500"


def test_a_media_that_failed_and_one_that_is_damaged(store: Store) -> None:
    network_id = store.register_network(SPEC)
    photographs = dict.fromkeys(PEOPLE, 3)
    labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs=photographs)
    failed = dataclasses.replace(failure(ref("b.gif")), message=SECRET)
    store.save([failed, annotation(ref(), damage=SECRET)], network_id=network_id, labelling_id=labelling_id)
    with store.reading() as connection:
        assert connection.execute(text("SELECT message FROM work WHERE message IS NOT NULL")).scalars().all() == [
            HIDDEN
        ]
        assert connection.execute(text("SELECT damage FROM annotations")).scalars().all() == [HIDDEN]


def test_a_retraining_that_failed(store: Store) -> None:
    with store.writing() as connection:
        run = begin_retraining(connection, experiment="e", cause="command", news={}, model="m@1")
        assert end_retraining(connection, run, "failed", reason=SECRET).reason == HIDDEN


def test_a_call_back_that_was_not_accepted(store: Store) -> None:
    row = {"run_id": 1, "event": "media", "idempotency_key": "one", "payload": {}, "created_at": utc_now()}
    with store.writing() as connection:
        callback_id = connection.execute(insert(outbox).values(**row).returning(outbox.c.id)).scalar_one()
        told = select(outbox.c.message).where(outbox.c.id == callback_id)
        postpone(connection, callback_id, delay_s=-1.0, message=SECRET)
        assert connection.execute(told).scalar_one() == HIDDEN
        receiver_fails(connection, 1, delay_s=1.0, give_up_s=-60.0, message=f"{SECRET} today")
        assert connection.execute(told).scalar_one() == f"{HIDDEN} today"
        give_up(connection, callback_id, message=f"{SECRET} again")
        assert connection.execute(told).scalar_one() == f"{HIDDEN} again"
