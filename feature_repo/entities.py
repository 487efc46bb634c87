"""What features describe. Members are known by `member_id` after the identity merge."""

from feast import Entity, ValueType

member = Entity(
    name="member",
    join_keys=["member_id"],
    value_type=ValueType.STRING,
    description="A member of the brand, after the identity merge.",
)
