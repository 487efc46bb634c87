"""Contracts of what was bought and given back: orders, their lines, refunds."""

from __future__ import annotations

import polars as pl

from pipelines.core.contracts.base import (
    Contract,
    Instant,
    SourceTable,
    Strings,
    optional,
    required,
    rule,
)

CHANNELS = (
    "store", "miniapp", "web", "taobao", "tmall", "jd", "douyin_live", "wecom", "distributor",
    "other",
)  # fmt: skip
ISO_4217 = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN
BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW
KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD
NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD
SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = tuple(ISO_4217.split())


class Orders(SourceTable):
    """An order as the source knew it at that version; its id never changes."""

    order_id: str = required("Id of the order.")
    member_id: str = optional("Who bought; null for a guest.", pii="pseudonym")
    ordered_at: Instant = required("When it was placed.")
    paid_at: Instant = optional("When it was paid.")
    status: str = optional(
        "Paid, shipped and completed orders count.",
        one_of=("created", "paid", "shipped", "completed", "cancelled", "closed"),
    )
    channel: str = required("Where it was placed.", one_of=CHANNELS)
    shop_id: str = optional("The shop, as a channel sees it.")
    store_id: str = optional("The store, for orders in person.")
    staff_id: str = optional("Who served.", pii="pseudonym")
    gross_minor: int = required("Value of the goods before discounts, in minor units.")
    discount_minor: int = required("Discounts of every kind, a positive number.")
    shipping_minor: int = optional("Shipping charged to the customer.")
    paid_minor: int = required("What the brand received for it, before refunds.")
    currency: str = required("ISO 4217 code.", one_of=CURRENCIES)
    order_kind: str = optional(
        "Only normal orders count; null means normal.",
        one_of=("normal", "topup", "test", "employee", "sample"),
    )
    promotion_ids: Strings = optional("Promotions that applied.")
    identified_by: str = optional(
        "How the member was recognised.", one_of=("scan", "miniapp", "phone", "staff", "none")
    )
    share_id: str = optional("The share that led to it.")

    @rule("gross_minor", "Amounts are positive; money given back is a refund.")
    @classmethod
    def negative_amount(cls) -> pl.Expr:
        """A discount or a refund is a positive number in its own column or table."""
        amounts = pl.col("gross_minor", "discount_minor", "shipping_minor", "paid_minor")
        return pl.all_horizontal((amounts >= 0).fill_null(True))

    @rule("paid_minor", "Correct gross, shipping or paid in the source.")
    @classmethod
    def paid_gt_gross(cls) -> pl.Expr:
        """Nobody pays more than the goods and their shipping."""
        return pl.col("paid_minor") <= pl.col("gross_minor") + pl.col("shipping_minor").fill_null(0)

    @rule("paid_at", "Check the clocks and time zones of the till and the payment system.")
    @classmethod
    def paid_before_ordered(cls) -> pl.Expr:
        """A payment follows its order."""
        return pl.col("paid_at") >= pl.col("ordered_at")


class OrderLines(SourceTable):
    """One product in an order."""

    order_line_id: str = required("Id of the line.")
    order_id: str = required("The order it belongs to.")
    sku_id: str = required("What was bought.")
    qty: int = required("How many; what comes back is a refund.")
    unit_price_minor: int = required("Price of one before discounts.")
    line_discount_minor: int = optional("Discount on the line, a positive number.")
    line_net_minor: int = required("What the line cost after its discounts.")
    cost_minor: int = optional("What the goods cost the brand.")
    is_gift: bool = optional("Given, not sold.")
    bundle_id: str = optional("The bundle it was sold in.")

    @rule("qty", "A line sells at least one; land returns as refunds.")
    @classmethod
    def qty_not_positive(cls) -> pl.Expr:
        """Zero or fewer is no purchase."""
        return pl.col("qty") > 0


class Refunds(SourceTable):
    """Money given back for an order."""

    refund_id: str = required("Id of the refund.")
    order_id: str = required("The order whose money it is.")
    order_line_id: str = optional("The line, where it is known.")
    refunded_at: Instant = required("When it was given back.")
    amount_minor: int = required("How much, a positive number.")
    kind: str = optional("What came back.", one_of=("refund_only", "return", "exchange"))
    reason_code: str = optional(
        "Why.", one_of=("quality", "wrong_item", "late", "dislike", "size", "no_reason", "other")
    )

    @rule("amount_minor", "A refund gives back something; leave out the empty ones.")
    @classmethod
    def amount_not_positive(cls) -> pl.Expr:
        """Zero is no refund, less is a sale."""
        return pl.col("amount_minor") > 0


CONTRACTS = (
    Contract("orders", Orders, ("order_id",), "ordered_at"),
    Contract("order_lines", OrderLines, ("order_line_id",)),
    Contract("refunds", Refunds, ("refund_id",), "refunded_at"),
)
