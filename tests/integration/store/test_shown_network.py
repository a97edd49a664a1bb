"""Which network is shown, and whether a model can compare itself with its embeddings, on both databases."""

import pytest

from annotator.errors import ConfigError
from annotator.store import Store
from annotator.store.registry import embedders, shown_network
from tests.store_values import SPEC


def test_a_model_is_told_what_keeps_it_from_what_is_shown(store: Store) -> None:
    with store.reading() as connection, pytest.raises(ConfigError, match="nothing is annotated yet"):
        shown_network(connection, embedder="test")
    network_id = store.register_network(SPEC)
    store.register_labelling(network_id, model="test@1", digest="d", photographs={})
    other_id = store.register_network({"embedder": "other"})
    with store.reading() as connection:
        assert shown_network(connection, embedder="test") == network_id
        with pytest.raises(ConfigError, match="embedded by test, and the model needs other: give --model"):
            shown_network(connection, embedder="other")
        assert embedders(connection) == {network_id: "test", other_id: "other"}
