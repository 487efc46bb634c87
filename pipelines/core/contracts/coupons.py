"""Contracts of coupons: what is offered, to whom it was given, and when it was used."""

from __future__ import annotations

import polars as pl

from pipelines.core.contracts.base import Contract, Instant, SourceTable, optional, required, rule


class CouponTemplates(SourceTable):
    """A kind of coupon; its issues share these terms."""

    template_id: str = required("Id of the template.")
    role: str = required(
        "Traffic coupons bring a visit; retention coupons bring the next one.",
        one_of=("traffic", "retention", "other"),
    )
    discount_type: str = optional(
        "What it takes off.", one_of=("amount", "percent", "gift", "price")
    )
    value_minor: int = optional("Amount off, or the price, in minor units.")
    percent_bp: int = optional("Percentage off, in basis points.")
    min_spend_minor: int = optional("Least spend for which it works.")
    valid_days: int = optional("Days from issue for which it works.")
    valid_from: Instant = optional("Start of a fixed window.")
    valid_to: Instant = optional("End of a fixed window.")
    condition: str = optional(
        "What it is tied to.",
        one_of=("any", "repeat_buyer", "same_sku", "category", "store", "tier"),
    )
    scope: str = optional("JSON: the skus, categories or stores it is limited to.")
    promotion_id: str = optional("The promotion it belongs to; null for everyday coupons.")
    pair_template_id: str = optional("The template that is issued together with it.")
    unit_cost_minor: int = optional("What one redemption costs the brand beside the discount.")

    @rule("valid_days", "Give `valid_days`, or both `valid_from` and `valid_to`.")
    @classmethod
    def no_validity(cls) -> pl.Expr:
        """A coupon that never ends cannot expire in three days."""
        window = pl.all_horizontal(pl.col("valid_from", "valid_to").is_not_null())
        return pl.col("valid_days").is_not_null() | window


class CouponIssues(SourceTable):
    """A coupon in a member's hands."""

    issue_id: str = required("Id of the coupon.")
    template_id: str = required("Its template.")
    member_id: str = required("Whose it is.", pii="pseudonym")
    issued_at: Instant = required("When it was given.")
    origin: str = required(
        "How the member came by it.",
        one_of=(
            "won", "claimed", "pushed", "compensation", "pair", "referral", "birthday", "topup",
        ),
    )  # fmt: skip
    valid_from: Instant = required("First instant at which it works.")
    expires_at: Instant = required("First instant at which it no longer works.")
    pair_id: str = optional("Joins the traffic and the retention coupon given together.")
    experiment_id: str = optional("The experiment it was given in.")
    arm: str = optional("The arm of that experiment.")

    @rule("expires_at", "Correct the validity; a coupon must live after it is given.")
    @classmethod
    def expires_before_issue(cls) -> pl.Expr:
        """A dead coupon was never given."""
        return (pl.col("expires_at") > pl.col("issued_at")) & (
            pl.col("expires_at") > pl.col("valid_from")
        )


class CouponRedemptions(SourceTable):
    """A use of a coupon."""

    redemption_id: str = required("Id of the use.")
    issue_id: str = required("The coupon that was used.")
    order_id: str = optional("The order it was used in; null where the source does not say.")
    redeemed_at: Instant = required("When it was used.")
    discount_minor: int = required("What it took off, as far as the source shows.")
    reversed_at: Instant = optional("When the use was taken back.")

    @rule("discount_minor", "A discount is a positive number, or zero.")
    @classmethod
    def negative_amount(cls) -> pl.Expr:
        """A coupon never adds to the price."""
        return pl.col("discount_minor") >= 0


CONTRACTS = (
    Contract("coupon_templates", CouponTemplates, ("template_id",)),
    Contract("coupon_issues", CouponIssues, ("issue_id",), "issued_at"),
    Contract("coupon_redemptions", CouponRedemptions, ("redemption_id",), "redeemed_at"),
)
