"""Feast's remote online store with the types kept: the gateway read by Feast's SDK.

    online_store:
      type: huitou_client.feast_store.HuitouOnlineStore
      path: http://127.0.0.1:8566

Feast's own `type: remote` guesses types from JSON: instants come back as whole numbers, and an
empty list raises. This one takes them from the registry, as reading Redis directly does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from feast import FeatureService, RepoConfig
from feast.infra.online_stores.remote import (
    RemoteOnlineStore,
    RemoteOnlineStoreConfig,
    _json_safe,
    get_remote_online_features,
)
from feast.infra.registry.base_registry import BaseRegistry
from feast.online_response import OnlineResponse
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType

OK = 200


class HuitouOnlineStoreConfig(RemoteOnlineStoreConfig):  # type: ignore[misc]  # Feast is untyped
    """As `remote`; `path` is the gateway."""

    type: Literal["huitou_client.feast_store.HuitouOnlineStore"] = (
        "huitou_client.feast_store.HuitouOnlineStore"
    )


class HuitouOnlineStore(RemoteOnlineStore):  # type: ignore[misc]  # Feast is untyped
    """Asks the gateway by Feast's protocol and gives the values their registered types."""

    def get_online_features(
        self,
        config: RepoConfig,
        features: list[str] | FeatureService,
        entity_rows: list[dict[str, Any]] | Mapping[str, Sequence[Any] | RepeatedValue],
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        include_feature_view_version_metadata: bool = False,  # noqa: ARG002  # Feast's signature
    ) -> OnlineResponse:
        """The features of all rows, by name or by service.

        Raises:
            RuntimeError: the gateway refused, in its own words.
        """
        if isinstance(features, list):
            asked: dict[str, Any] = {"features": features}
            columns = [ref.split(":") for ref in features]
        else:
            asked = {"feature_service": features.name}
            columns = [
                [p.name, f.name] for p in features.feature_view_projections for f in p.features
            ]
        entities = _columns(entity_rows)
        body = {**asked, "entities": entities, "full_feature_names": full_feature_names}
        response = get_remote_online_features(config=config, req_body=body)
        if response.status_code != OK:
            message = f"the gateway answered {response.status_code}: {response.text}"
            raise RuntimeError(message)
        return _response(response.json(), _types(columns, registry, project))


def _columns(entity_rows: Any) -> dict[str, list[Any]]:
    """The rows by column, as the protocol has them."""
    if isinstance(entity_rows, list):
        entity_rows = {name: [row[name] for row in entity_rows] for name in entity_rows[0]}
    return {
        name: [_json_safe(v) for v in (values.val if isinstance(values, RepeatedValue) else values)]
        for name, values in entity_rows.items()
    }


def _types(columns: list[list[str]], registry: BaseRegistry, project: str) -> dict[str, ValueType]:
    """The registered type of each feature, by its short and by its full name."""
    types: dict[str, ValueType] = {}
    for view in dict.fromkeys(view for view, _ in columns):
        fields = registry.get_feature_view(view, project, allow_cache=True).features
        kinds = {field.name: field.dtype.to_value_type() for field in fields}
        for name in (name for owner, name in columns if owner == view):
            types[name] = types[f"{view}__{name}"] = kinds[name]
    return types


def _response(answer: dict[str, Any], types: Mapping[str, ValueType]) -> OnlineResponse:
    proto = GetOnlineFeaturesResponse(status=True)
    for name, result in zip(answer["metadata"]["feature_names"], answer["results"], strict=True):
        proto.metadata.feature_names.val.append(name)
        kind = types.get(name, ValueType.STRING)  # join keys are texts
        vector = proto.results.add()
        for value in result["values"]:
            vector.values.append(_proto(value, kind))
        vector.statuses.extend(FieldStatus.Value(status) for status in result["statuses"])
        for text in result["event_timestamps"]:
            vector.event_timestamps.add().FromJsonString(text)
    return OnlineResponse(proto)


def _proto(value: Any, kind: ValueType) -> Value:
    if value is None:
        return Value()
    found: Value = python_values_to_proto_values([value], kind)[0]
    return found
