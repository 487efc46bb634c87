"""The gateway as Feast's online store, for those who have Feast already.

`type: remote` works too; `HuitouOnlineStore` keeps the types of instants and of empty lists.
"""

from __future__ import annotations

import os
import sys

from feast import FeatureStore, RepoConfig

#: What would stand in feature_store.yaml.
CONFIG = RepoConfig(
    project=os.environ.get("HUITOU_PROJECT", "huitou_demo"),
    provider="local",
    registry=os.environ["HUITOU_REGISTRY"],  # <HUITOU_HOME>/brands/<brand>/registry.db
    entity_key_serialization_version=3,
    online_store={
        "type": os.environ.get("FEAST_STORE", "huitou_client.feast_store.HuitouOnlineStore"),
        "path": os.environ.get("HUITOU_URL", "http://127.0.0.1:8566"),
    },
    # a key goes where Feast has its tokens
    auth={"type": "oidc", "token": key} if (key := os.environ.get("HUITOU_KEY")) else None,
)


def main(member_id: str) -> None:
    """Print a member by a list of features and by a service."""
    store = FeatureStore(config=CONFIG)
    features = ["member_orders_v1:last_order_at", "member_tags_v1:tags"]
    rows = [{"member_id": member_id}]
    print(store.get_online_features(features=features, entity_rows=rows).to_dict())
    service = store.get_feature_service("mass_sender_v1")
    found = store.get_online_features(features=service, entity_rows=rows)
    print(sorted(found.to_dict()))


if __name__ == "__main__":
    main(sys.argv[1])
